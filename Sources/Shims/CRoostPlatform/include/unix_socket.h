// Unix sockets that keep message boundaries and carry file descriptors.
// Every call returns a value >= 0, or the negated errno. No call raises SIGPIPE.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Most descriptors that one message of ours carries.
enum { roost_message_descriptors_max = 4 };

// An address is a path, or, where `abstract`, a name without a file. Too long a name is -ENAMETOOLONG.
int roost_socket_listen(const char *name, int abstract, int backlog);

// Connects without blocking for longer than `timeout_milliseconds`.
int roost_socket_connect(const char *name, int abstract, int timeout_milliseconds);

// Takes a waiting connection, non-blocking, closed on exec. -EAGAIN: none waits.
int roost_socket_accept(int listener);

// Sends one message whole or not at all; never blocks. -EAGAIN: no room.
int roost_message_send(int socket, const void *bytes, size_t length, const int *descriptors, int descriptor_count);

// Receives one message; never blocks. Returns its length, 0 at the end of the connection (a message of no bytes looks
// the same), -EAGAIN: none waits, -EMSGSIZE: longer than `capacity` (it is lost). At most `descriptor_capacity`
// descriptors are kept, all others are closed by the kernel.
ssize_t roost_message_receive(int socket, void *bytes, size_t capacity, int *descriptors, int descriptor_capacity,
                              int *out_descriptor_count);

// Who made the peer's end. The pid is 0 where the peer's is not visible from here.
int roost_socket_peer(int socket, pid_t *out_pid, uid_t *out_uid);

// A descriptor that becomes readable when the process that made the peer's end is gone.
int roost_socket_peer_process(int socket);
