"""`roost.Layout` against numpy: what a layout says must be where numpy finds it."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from array import array

import numpy as np
import pytest
import roost
from roost import Layout
from test_leases import failure

NAMES = ["layer", "block", "head", "token", "dim"]


def seeds(count: int) -> pytest.MarkDecorator:
    """Each seed is a test of its own, so that a failure names it."""
    return pytest.mark.parametrize("seed", range(count))


class Memory:
    """Bytes in which every element is another, seen through a view of random shape, order and strides."""

    def __init__(self, random: np.random.Generator) -> None:
        self.names = list(random.permutation(NAMES)[: random.integers(1, 6)])
        shape = random.integers(1, 6, len(self.names))
        item = random.choice([np.uint8, np.uint16, np.uint32])
        # Larger than the view, so that it has holes, and begins somewhere inside.
        steps = random.integers(1, 3, len(shape))
        whole = np.arange(int(np.prod(shape * steps)), dtype=np.uint32).astype(item).reshape(shape * steps)
        self.view = whole[tuple(slice(int(random.integers(0, step)), None, int(step)) for step in steps)]
        order = random.permutation(len(shape))
        self.view = self.view.transpose(order)
        self.names = [self.names[axis] for axis in order]
        self.layout = Layout.from_tensor(self.view, self.names)


def elements(layout: Layout, names: list[str], tensor: np.ndarray) -> list[int]:
    """The values at the layout's elements in the order of the names; `tensor` begins where the layout's byte 0 lies."""
    rows = layout.descriptors(*names)
    assert rows.shape[1] == 3 and (rows[:, 1] == tensor.itemsize).all() and (rows[:, 2] == 0).all()
    flat = np.lib.stride_tricks.as_strided(tensor, (int(rows[:, 0].max()) // tensor.itemsize + 1,), (tensor.itemsize,))
    return flat[rows[:, 0] // tensor.itemsize].tolist()


@seeds(60)
def test_every_element_of_a_view_is_where_numpy_has_it(seed: int) -> None:
    memory = Memory(np.random.default_rng(seed))
    assert elements(memory.layout, memory.names, memory.view) == memory.view.ravel().tolist()
    assert memory.layout.byte_count == memory.view.nbytes
    assert memory.layout.names == tuple(memory.names)


@seeds(60)
def test_narrow_and_select_are_what_slicing_and_indexing_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    memory = Memory(random)
    layout, view, names = memory.layout, memory.view, list(memory.names)
    for _ in range(4):
        if not names:
            break
        axis = int(random.integers(len(names)))
        extent = view.shape[axis]
        start = int(random.integers(extent))
        if random.random() < 0.5:
            count = int(random.integers(1, extent - start + 1))
            layout = layout.narrow(names[axis], start, count)
            view = view[(slice(None),) * axis + (slice(start, start + count),)]
        else:
            layout = layout.select(names[axis], start)
            view = view[(slice(None),) * axis + (start,)]
            names.pop(axis)
    assert elements(layout, names, memory.view) == view.ravel().tolist()


@seeds(60)
def test_sub_blocks_are_what_a_reshaped_token_axis_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks, heads, parts, inner, dim = random.integers(1, 5, 5)
    names = ["block", "head", "token", "dim"]
    whole = np.arange(blocks * heads * parts * inner * dim, dtype=np.uint16)
    order = random.permutation(4)
    shape = np.array([blocks, heads, parts * inner, dim])
    view = whole.reshape(shape[order]).transpose(np.argsort(order))
    # The logical order of the axes must not matter, only the names.
    listed = random.permutation(4)
    layout = Layout.from_tensor(view.transpose(listed), [names[axis] for axis in listed])
    small = layout.sub_block(int(parts))
    assert small.extent("block") == blocks * parts and small.extent("token") == inner
    # Block b of the large ones becomes the small ones b * parts ... b * parts + parts - 1.
    wanted = view.reshape(blocks, heads, parts, inner, dim).transpose(0, 2, 1, 3, 4)
    assert elements(small, names, view) == wanted.ravel().tolist()


def test_sub_blocks_of_keys_and_values_do_not_alias() -> None:
    # Where vLLM's CacheLayout gave K[1] and V[0] the same bytes and left the region.
    layout = Layout.from_shape(["kv", "block", "token", "head", "dim"], [2, 2, 8, 1, 4], 2)
    rows = layout.sub_block(2).descriptors("kv", "block")
    assert rows[:, 0].tolist() == [0, 32, 64, 96, 128, 160, 192, 224]
    padded = layout.narrow("block", 1, 1).sub_block(2).descriptors("kv", "block")
    assert padded[:, 0].tolist() == [64, 96, 192, 224]


@seeds(60)
def test_a_plan_copies_what_numpy_assigns(seed: int) -> None:
    random = np.random.default_rng(seed)
    memory = Memory(random)
    # The same axes in another order and with other holes, in other memory.
    order = random.permutation(len(memory.names))
    shape = [memory.view.shape[axis] + int(random.integers(0, 3)) for axis in order]
    whole = np.zeros(shape, memory.view.dtype)
    cut = whole[tuple(slice(0, memory.view.shape[axis]) for axis in order)]
    target = Layout.from_tensor(cut, [memory.names[axis] for axis in order])
    plan = memory.layout.plan(target)

    wanted = np.zeros_like(whole)
    wanted[tuple(slice(0, memory.view.shape[axis]) for axis in order)] = memory.view.transpose(order)
    raw_source = np.lib.stride_tricks.as_strided(
        memory.view, (memory.layout.byte_range[1] // memory.view.itemsize,), (memory.view.itemsize,)
    ).view(np.uint8)
    raw_target = whole.reshape(-1).view(np.uint8)
    for source, offset, byte_count in plan.pieces().tolist():
        raw_target[offset : offset + byte_count] = raw_source[source : source + byte_count]
    assert np.array_equal(whole, wanted)
    assert plan.byte_count == memory.view.nbytes and len(plan.pieces()) == plan.piece_count
    assert plan.run_min == plan.pieces()[:, 2].min()


def test_a_plan_is_loops_over_a_run() -> None:
    heads_outside = Layout.named("lbhnc", layers=1, blocks=3, heads=4, tokens=4, dim=8, item=2)
    half = heads_outside.shard("head", 1, 2)
    plan = half.plan(Layout.from_shape(["block", "head", "token", "content"], [3, 2, 4, 16], 2))
    (part,) = plan.parts
    assert part == (256, 0, ((3, 512, 256),), 256)
    assert plan.pieces(1000, 5000).tolist() == [[1256, 5000, 256], [1768, 5256, 256], [2280, 5512, 256]]


def test_descriptors_of_a_hundred_thousand_blocks_are_those_of_a_broadcast() -> None:
    layout = Layout.from_shape(["layer", "block", "byte"], [100, 1000, 4096], 1, strides={"block": 5120})
    rows = layout.descriptors("layer", "block", base=1 << 40, device=7)
    addresses = (1 << 40) + np.arange(100)[:, None] * 5120 * 1000 + np.arange(1000)[None, :] * 5120
    assert rows.shape == (100_000, 3) and rows.dtype == np.uint64
    assert np.array_equal(rows[:, 0], addresses.ravel().astype(np.uint64))
    assert (rows[:, 1] == 4096).all() and (rows[:, 2] == 7).all()
    blocks_first = layout.descriptors("block", "layer", base=1 << 40)
    assert np.array_equal(blocks_first[:, 0], addresses.T.ravel().astype(np.uint64))


def test_planes_keep_data_and_scales_of_a_page_together() -> None:
    data = Layout.from_shape(["block", "token", "byte"], [3, 64, 576], 1, strides={"block": 37440})
    scales = Layout.from_shape(["block", "token", "byte"], [3, 64, 8], 1, strides={"block": 37440}, offset=64 * 576)
    page = Layout.from_planes([data, scales])
    assert page == Layout.named("planar-scales", blocks=3)
    assert [plane.offset for plane in page.planes] == [0, 36864] and page.byte_count == 3 * 64 * 584
    assert page.narrow("token", 32, 16).descriptors("block")[:, :2].tolist() == [
        [start, 16 * 576] for start in (18432, 55872, 93312)
    ] + [[start, 128] for start in (37120, 74560, 112000)]


def test_the_rest_of_the_operations() -> None:
    layout = Layout.from_shape(["token", "head", "dim"], [4, 2, 8], 2)
    assert layout.split("token", 2, "block").fuse("block", "token", "token") == layout
    assert layout.permute("dim", "token", "head").names == ("dim", "token", "head")
    assert layout.rename("dim", "content").extent("content") == 8
    assert layout.offset_by(100).byte_range == (100, 228)
    # More ranks than heads hold copies.
    assert [layout.shard("head", rank, 4).planes[0].offset for rank in range(4)] == [0, 0, 16, 16]
    opaque = Layout.from_axes([("block", 2, 64), ("token", 4, 16)], 16, opaque=True)
    assert opaque.is_opaque and failure(opaque.sub_block, 2).code == "invalidInput"


def test_a_layout_is_a_value_and_the_same_text_that_the_program_takes() -> None:
    one = Layout('{"itemsize": 2, "axes": [["dim", 8, 2]]}')
    other = Layout.from_shape(["dim"], [8], 2)
    assert one == other and hash(one) == hash(other) and one.text == other.text
    assert one != other.offset_by(2)
    assert pickle.loads(pickle.dumps(one)).narrow("dim", 1, 2) == one.narrow("dim", 1, 2)
    assert json.loads(str(one))["axes"] == [["dim", 8, 2]]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if one.select("dim", 3).byte_range == (6, 8) else 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Layout("no layout"),
        lambda: Layout("{}"),
        lambda: Layout(""),
        lambda: Layout.from_axes([("a", 0, 1)], 1),
        lambda: Layout.from_axes([("a", 2, -1)], 1),
        lambda: Layout.from_axes([("a", 1 << 70, 1)], 1),
        lambda: Layout.from_axes([("a", 1 << 40, 1 << 40)], 1),
        lambda: Layout.from_axes([("a", 2, 2)], 0),
        lambda: Layout.from_tensor(np.zeros((2, 2)), ["a"]),
        lambda: Layout.from_tensor(np.zeros(4)[::-1], ["a"]),
        lambda: Layout.from_shape(["a"], [4], 1, strides={"b": 2}),
        lambda: Layout.from_planes([]),
        lambda: Layout.named("lbhnc", hads=3),
        lambda: Layout.from_shape(["a"], [4], 1).narrow("a", 3, 2),
        lambda: Layout.from_shape(["a"], [4], 1).narrow("b", 0, 1),
        lambda: Layout.from_shape(["a"], [4], 1).select("a", 4),
        lambda: Layout.from_shape(["a"], [4], 1).select("a", -1),
        lambda: Layout.from_shape(["block", "token"], [4, 6], 1).sub_block(4),
        lambda: Layout.from_shape(["block", "token"], [4, 6], 1).sub_block(0),
        lambda: Layout.from_shape(["a"], [4], 1).shard("a", 0, 3),
        lambda: Layout.from_shape(["a"], [4], 1).descriptors("b"),
        lambda: Layout.from_shape(["a"], [4], 1).descriptors("a", "a"),
        lambda: Layout.from_axes([("a", 4, 2)], 1).descriptors(),
        lambda: Layout.from_shape(["a"], [4], 1).descriptors(base=-1),
        lambda: Layout.from_shape(["a"], [4], 1).descriptors(base=1 << 64),
        lambda: Layout.from_shape(["a"], [4], 1).plan(Layout.from_shape(["a"], [5], 1)),
        lambda: Layout.from_shape(["a"], [4], 1).plan(Layout.from_axes([("a", 4, 0)], 1)),
        lambda: Layout.from_shape(["a"], [4], 1).offset_by(-1),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(bad: object) -> None:
    error = failure(bad)
    assert error.code == "invalidInput" and len(error.message) > 10


def test_what_is_unknown_is_answered_with_what_was_meant() -> None:
    error = failure(lambda: Layout.named("lbhnk"))
    assert error.code == "notFound" and "'lbhnc'" in error.message
    assert failure(Layout.from_tensor, [1.0], ["a"]).code == "unsupported"
    with pytest.raises(TypeError):
        Layout(7)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Layout.from_shape(["a"], [4], 1).text = "x"  # type: ignore[misc]


def test_buffers_of_the_caller_are_filled_to_the_row_and_not_beyond() -> None:
    layout = Layout.from_shape(["a", "b"], [3, 4], 2)
    rows = array("Q", [99] * 12)
    assert layout.descriptors("a", base=16, out=rows) is rows
    assert rows.tolist() == [16, 8, 0, 24, 8, 0, 32, 8, 0, 99, 99, 99]
    short = array("Q", [99] * 8)
    assert failure(lambda: layout.descriptors("a", out=short)).code == "outOfResources"
    assert short.tolist() == [99] * 8
    plan = layout.plan(layout.offset_by(6))
    assert plan.pieces(out=rows) is rows and rows[:3].tolist() == [0, 6, 24]
    assert failure(lambda: layout.descriptors("a", out=array("I", [0] * 99))).code == "invalidInput"
    crooked = memoryview(bytearray(200))[1:169]
    assert failure(lambda: layout.descriptors("a", out=crooked)).code == "invalidInput"
    with pytest.raises((TypeError, BufferError)):
        layout.descriptors("a", out=bytes(72))


def test_layouts_work_without_numpy() -> None:
    program = """
import sys
sys.modules["numpy"] = None
import roost
from array import array
layout = roost.Layout.from_shape(["block", "byte"], [2, 64], 1)
rows = array("Q", bytes(48))
layout.descriptors("block", out=rows)
assert rows.tolist() == [0, 64, 0, 64, 64, 0]
view = memoryview(bytearray(12)).cast("B", (3, 4))
assert roost.Layout.from_tensor(view, ["a", "b"]).planes[0].axes == (("a", 3, 4), ("b", 4, 1))
try:
    layout.descriptors("block")
except roost.RoostError as error:
    assert error.code == "unsupported" and "out=" in error.message
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_the_interpreter_says_about_a_layout() -> None:
    layout = roost.Layout.from_shape(["a"], [4], 1)
    assert repr(layout).startswith("Layout(text='{") and "Layout" in roost.__all__
