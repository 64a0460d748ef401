#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5
#endif

static int fill_address(struct sockaddr_un *address, socklen_t *length, const char *name, int abstract) {
  size_t count = strlen(name);
  // One byte is the leading zero of an abstract name, or the zero that ends a path.
  if (count == 0 || count + 1 > sizeof address->sun_path) return -ENAMETOOLONG;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path + (abstract ? 1 : 0), name, count);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
  return 0;
}

static int close_with(int descriptor, int error) {
  close(descriptor);
  return -error;
}

int roost_socket_listen(const char *name, int abstract, int backlog) {
  struct sockaddr_un address;
  socklen_t length;
  int result = fill_address(&address, &length, name, abstract);
  if (result < 0) return result;
  int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -errno;
  if (bind(listener, (struct sockaddr *)&address, length) < 0) return close_with(listener, errno);
  if (!abstract && chmod(name, 0600) < 0) return close_with(listener, errno);
  if (listen(listener, backlog) < 0) return close_with(listener, errno);
  return listener;
}

int roost_socket_connect(const char *name, int abstract, int timeout_milliseconds) {
  struct sockaddr_un address;
  socklen_t length;
  int result = fill_address(&address, &length, name, abstract);
  if (result < 0) return result;
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  // A Unix socket's connect waits only while the backlog is full, and the send timeout limits that.
  struct timeval limit = {timeout_milliseconds / 1000, (timeout_milliseconds % 1000) * 1000 + 1};
  if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0) return close_with(descriptor, errno);
  do {
    result = connect(descriptor, (struct sockaddr *)&address, length);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return close_with(descriptor, errno == EAGAIN ? ETIMEDOUT : errno);
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return close_with(descriptor, errno);
  return descriptor;
}

int roost_socket_accept(int listener) {
  int descriptor;
  do {
    descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
  return descriptor < 0 ? -errno : descriptor;
}

int roost_message_send(int socket, const void *bytes, size_t length, const int *descriptors, int descriptor_count) {
  if (descriptor_count < 0 || descriptor_count > roost_message_descriptors_max) return -EINVAL;
  union {
    char bytes[CMSG_SPACE(roost_message_descriptors_max * sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor_count > 0) {
    size_t size = (size_t)descriptor_count * sizeof(int);
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), descriptors, size);
  }
  ssize_t result;
  do {
    result = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

ssize_t roost_message_receive(int socket, void *bytes, size_t capacity, int *descriptors, int descriptor_capacity,
                              int *out_descriptor_count) {
  union {
    char bytes[CMSG_SPACE(roost_message_descriptors_max * sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct iovec part = {bytes, capacity};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor_capacity > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
  }
  *out_descriptor_count = 0;
  ssize_t result;
  do {
    result = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return -errno;
  if (descriptor_capacity > 0) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t index = 0; index < count; index++) {
        int descriptor;
        memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof(int));
        if (*out_descriptor_count < descriptor_capacity) {
          descriptors[(*out_descriptor_count)++] = descriptor;
        } else {
          close(descriptor);
        }
      }
    }
  }
  return (message.msg_flags & MSG_TRUNC) ? -EMSGSIZE : result;
}

int roost_socket_peer(int socket, pid_t *out_pid, uid_t *out_uid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
  *out_pid = peer.pid;
  *out_uid = peer.uid;
  return 0;
}

int roost_socket_peer_process(int socket) {
  int descriptor = -1;
  socklen_t length = sizeof descriptor;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &length) == 0) {
    // The kernel sets no flag on it.
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
  }
  pid_t pid;
  uid_t uid;
  int result = roost_socket_peer(socket, &pid, &uid);
  if (result < 0) return result;
  return pid > 0 ? roost_process_open(pid) : -ESRCH;
}
