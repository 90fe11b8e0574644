/*
 *   mount(source, target, type, flags, data) -> Promise<errno>     in a thread: a path may lead through a slow mount
 *   unmount(target, flags) -> Promise<errno>                       in a thread: it waits for write-back, which we serve
 *   socketPair() -> [a, b]
 *   receiveDescriptor(socket) -> descriptor or -errno              what fusermount3 has sent
 */
#include "common.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>

struct task {
  napi_deferred deferred;
  napi_threadsafe_function done;
  bool unmount;
  uint32_t flags;
  char *text[4]; /* target; source, type, data */
  int error;
};

static void free_task(struct task *task) {
  for (size_t i = 0; i < sizeof task->text / sizeof task->text[0]; i++) free(task->text[i]);
  free(task);
}

static void *run_task(void *argument) {
  struct task *task = argument;
  napi_threadsafe_function done = task->done;
  int result = task->unmount ? umount2(task->text[0], (int)task->flags)
                             : mount(task->text[1], task->text[0], task->text[2], task->flags, task->text[3]);
  task->error = result < 0 ? errno : 0;
  if (napi_call_threadsafe_function(done, task, napi_tsfn_blocking) != napi_ok) free_task(task);
  napi_release_threadsafe_function(done, napi_tsfn_release);
  return NULL;
}

static void on_task_done(napi_env env, napi_value callback, void *context, void *data) {
  struct task *task = data;
  napi_value error;
  (void)callback;
  (void)context;
  if (env != NULL && napi_create_int32(env, task->error, &error) == napi_ok) {
    napi_resolve_deferred(env, task->deferred, error);
  }
  free_task(task);
}

/* Takes the task over. Answers a promise of an errno. */
static napi_value begin_task(napi_env env, struct task *task) {
  napi_value name, promise, error;
  if (napi_create_string_utf8(env, "janusfs-mount", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_promise(env, &task->deferred, &promise) != napi_ok ||
      napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, on_task_done, &task->done) != napi_ok) {
    throw_status(env, "starting a mount task");
    free_task(task);
    return NULL;
  }
  int failure = start_thread(run_task, task);
  if (failure != 0) {
    napi_release_threadsafe_function(task->done, napi_tsfn_release);
    if (napi_create_int32(env, failure, &error) == napi_ok) napi_resolve_deferred(env, task->deferred, error);
    free_task(task);
  }
  return promise;
}

/* A copy of a JavaScript string, to be freed; NULL with an exception when it is no string. */
static char *string_argument(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    throw_status(env, "reading a string argument");
    return NULL;
  }
  char *text = malloc(length + 1);
  if (text == NULL || napi_get_value_string_utf8(env, value, text, length + 1, &length) != napi_ok) {
    free(text);
    throw_text(env, "a string argument cannot be copied");
    return NULL;
  }
  return text;
}

/* mount(source, target, type, flags, data) */
static napi_value js_mount(napi_env env, napi_callback_info info) {
  static const int places[] = {1, 0, 2, -1, 3};
  napi_value argv[5];
  if (!arguments(env, info, 5, argv, NULL)) return NULL;
  struct task *task = calloc(1, sizeof *task);
  if (task == NULL) return throw_text(env, "out of memory");
  for (int i = 0; i < 5; i++) {
    bool ok;
    if (places[i] < 0) {
      ok = napi_get_value_uint32(env, argv[i], &task->flags) == napi_ok;
      if (!ok) throw_status(env, "reading the mount flags");
    } else {
      task->text[places[i]] = string_argument(env, argv[i]);
      ok = task->text[places[i]] != NULL;
    }
    if (!ok) {
      free_task(task);
      return NULL;
    }
  }
  return begin_task(env, task);
}

/* unmount(target, flags) */
static napi_value js_unmount(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (!arguments(env, info, 2, argv, NULL)) return NULL;
  struct task *task = calloc(1, sizeof *task);
  if (task == NULL) return throw_text(env, "out of memory");
  task->unmount = true;
  task->text[0] = string_argument(env, argv[0]);
  if (task->text[0] == NULL || napi_get_value_uint32(env, argv[1], &task->flags) != napi_ok) {
    if (task->text[0] != NULL) throw_status(env, "reading the unmount flags");
    free_task(task);
    return NULL;
  }
  return begin_task(env, task);
}

/* ---- descriptors from fusermount3 ------------------------------------------------------------------------------- */

static napi_value js_socket_pair(napi_env env, napi_callback_info info) {
  int pair[2];
  napi_value result, value;
  (void)info;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return throw_text(env, strerror(errno));
  TRY(env, napi_create_array_with_length(env, 2, &result));
  for (uint32_t i = 0; i < 2; i++) {
    TRY(env, napi_create_int32(env, pair[i], &value));
    TRY(env, napi_set_element(env, result, i, value));
  }
  return result;
}

/* The sender has exited, so its message is there or never comes: this does not wait. */
static napi_value js_receive_descriptor(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int socket_fd = -1, received = -1;
  char byte;
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  if (!arguments(env, info, 1, argv, NULL)) return NULL;
  TRY(env, napi_get_value_int32(env, argv[0], &socket_fd));
  do n = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0) return number(env, -errno);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (n == 0 || header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return number(env, -ENOMSG);
  }
  memcpy(&received, CMSG_DATA(header), sizeof received);
  return number(env, received);
}

napi_value add_mount_functions(napi_env env, napi_value exports) {
  if (add_method(env, exports, "mount", js_mount, NULL) == NULL || add_method(env, exports, "unmount", js_unmount, NULL) == NULL ||
      add_method(env, exports, "socketPair", js_socket_pair, NULL) == NULL) {
    return NULL;
  }
  return add_method(env, exports, "receiveDescriptor", js_receive_descriptor, NULL);
}
