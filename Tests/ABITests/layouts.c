/* Layouts: values as text, lists into the caller's arrays. */
#include "expect.h"

#include <string.h>

static roost_text text(const char *bytes) { return (roost_text){bytes, strlen(bytes)}; }

static const char PAGES[] = "{\"axes\":[[\"block\",3,512],[\"head\",4,128],[\"byte\",128,1]],\"itemsize\":1}";

static void test_what_layouts_answer(void) {
  char answer[512];
  size_t count = 0;
  roost_descriptor rows[4] = {{0}};
  roost_piece pieces[6];
  EXPECT_OK(roost_layout_apply(text(PAGES), text("[[\"narrow\",\"head\",2,2]]"), answer, sizeof answer, &count));
  EXPECT(strlen(answer) == count && strstr(answer, "\"offset\":256") != NULL);
  EXPECT_OK(roost_layout_descriptors(text(answer), text("[\"block\"]"), 1000, 7, rows, 4, &count));
  EXPECT(count == 3 && rows[2].address == 1000 + 1024 + 256 && rows[2].byte_count == 256 && rows[2].device == 7);
  EXPECT(rows[3].address == 0 && rows[3].byte_count == 0);
  EXPECT_OK(roost_layout_named(text("mla"), text("{\"blocks\":2,\"tokens\":64}"), answer, sizeof answer, NULL));
  EXPECT_OK(roost_layout_descriptors(text(answer), text("[\"block\"]"), 0, 0, rows, 4, &count));
  EXPECT(count == 2 && rows[1].address == 73728 && rows[1].byte_count == 73728);
  const char *half = "{\"axes\":[[\"head\",4,128],[\"block\",3,512],[\"byte\",128,1]],\"itemsize\":1}";
  EXPECT_OK(roost_layout_plan(text(PAGES), text(half), answer, sizeof answer, NULL));
  EXPECT(strstr(answer, "\"pieces\":1,\"bytes\":1536") != NULL);
  EXPECT_OK(roost_layout_pieces(text(PAGES), text(half), 10, 20, pieces, 6, &count));
  EXPECT(count == 1 && pieces[0].source == 10 && pieces[0].target == 20 && pieces[0].byte_count == 1536);
}

static void test_what_layouts_refuse(void) {
  char answer[64];
  size_t count = 0;
  roost_descriptor rows[2];
  roost_piece pieces[1];
  const roost_text none = {NULL, 0}, lost = {NULL, 5}, endless = {PAGES, SIZE_MAX}, layout = text(PAGES), empty = text("[]");
  static const char *const wrong[] = {
      "", "[]", "7", "{", "{\"axes\":7}", "{\"axes\":[[\"a\",0,1]],\"itemsize\":1}", "{\"axes\":[],\"itemsize\":0}",
      "{\"axes\":[[\"a\",9223372036854775807,9223372036854775807]],\"itemsize\":1}", "{\"planes\":[]}", "\xff\xfe",
  };
  for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
    EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_apply(text(wrong[index]), empty, answer, sizeof answer, NULL));
    EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_plan(text(wrong[index]), layout, answer, sizeof answer, NULL));
    EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_pieces(layout, text(wrong[index]), 0, 0, pieces, 1, &count));
    EXPECT_STATUS(
        ROOST_INVALID_INPUT, roost_layout_descriptors(text(wrong[index]), empty, 0, 0, rows, 2, &count));
  }
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_apply(none, empty, answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_apply(lost, empty, answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_apply(endless, empty, answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_apply(layout, text("[[\"melt\"]]"), answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_layout_named(text("none"), text("{}"), answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_named(text("mla"), text("{\"x\":1}"), answer, sizeof answer, NULL));
  /* No room: how much it takes is told. */
  EXPECT_STATUS(ROOST_OUT_OF_RESOURCES, roost_layout_apply(layout, empty, answer, sizeof answer, &count));
  EXPECT(count > sizeof answer);
  EXPECT_STATUS(ROOST_OUT_OF_RESOURCES, roost_layout_descriptors(layout, text("[\"block\"]"), 0, 0, rows, 2, &count));
  EXPECT(count == 3);
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_descriptors(layout, text("[\"block\"]"), 0, 0, NULL, 9, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_descriptors(layout, text("[\"block\"]"), 0, 0, rows, 9, NULL));
  roost_descriptor *crooked = (roost_descriptor *)((char *)rows + 1);
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_descriptors(layout, text("[\"block\"]"), 0, 0, crooked, 9, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_layout_descriptors(layout, text("{}"), 0, 0, rows, 2, &count));
}

void test_layouts(void) {
  test_what_layouts_answer();
  test_what_layouts_refuse();
}
