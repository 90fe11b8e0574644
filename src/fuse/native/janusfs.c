/*
 * What Node lacks for speaking the FUSE protocol, and nothing else. No policy and no protocol knowledge live here.
 *
 *   serve(fd, in, out, onRequest, onEnd, onNotified) -> {send, sendWith, notify, close}
 *       Polls a mounted /dev/fuse descriptor on the main loop. Each wake-up reads until the queue is empty (bounded) and
 *       hands every request to onRequest(length); its bytes are in `in` until that call returns.
 *       send(length)             writes out[0..length) as one reply; 0 or a positive errno
 *       sendWith(length, data)   the same followed by `data`, in one writev
 *       notify(id, messages)     queues whole notify messages; onNotified(id, errno) tells when the kernel has taken them
 *       close()                  stops everything and closes the descriptor
 *   mount, unmount, socketPair, receiveDescriptor: see mount.c
 *
 * Notify messages are written by threads of our own. Such a write waits in the kernel for a directory's lock while a
 * request of ours holds it; on the main thread that is a deadlock, and on libuv's pool it starves the file writes that
 * the request may need.
 *
 * A session's memory is never freed: its functions may outlive it in JavaScript, and a thread that hangs in the kernel
 * may outlive everything. A process mounts once or a few times, so this is a few hundred bytes.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Node exports libuv but npm's node-api-headers has no uv.h. These few functions are stable since libuv 1.19; the handle
 * is opaque and sized by libuv itself.
 */
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *, int, int));
extern int uv_poll_stop(uv_poll_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
enum { UV_POLL_TYPE = 8, UV_READABLE_EVENT = 1 };

enum {
  API_VERSION = 1,
  /* One wake-up serves at most this much, so that sockets and timers get their turn. */
  BATCH_REQUESTS = 32,
  BATCH_BYTES = 2 * 1024 * 1024,
  /* Several, because one may wait for a directory's lock while others could go on. */
  NOTIFIER_THREADS = 4,
  NOTIFY_JOBS_MAX = 64,
  NOTIFY_HEADER_BYTES = 16,
};

struct job {
  struct job *next;
  uint32_t id;
  int error;
  size_t size;
  uint8_t bytes[];
};

struct session {
  napi_env env;
  uv_poll_t *poll;
  uint8_t *in;
  size_t in_size;
  uint8_t *out;
  size_t out_size;
  napi_ref in_ref;
  napi_ref out_ref;
  napi_ref on_request;
  napi_ref on_end;
  napi_ref resource;
  napi_async_context async;
  napi_threadsafe_function notified;
  bool serving;
  bool closed;

  /* Shared with the notifier threads, under the lock. */
  pthread_mutex_t lock;
  pthread_cond_t wake;
  int fd;
  struct job *first;
  struct job *last;
  unsigned queued;
  unsigned threads;
  unsigned idle;
  unsigned writing;
  bool stopping;
};

/* ---- serving --------------------------------------------------------------------------------------------------- */

static void free_poll(uv_handle_t *handle) { free(handle); }

static void stop_polling(struct session *s) {
  if (!s->serving) return;
  s->serving = false;
  uv_poll_stop(s->poll);
  uv_close((uv_handle_t *)s->poll, free_poll);
  s->poll = NULL;
}

/* Calls a referenced function with one integer. An exception that JavaScript let escape ends the process as usual. */
static void call_with(struct session *s, napi_ref function_ref, int32_t value) {
  napi_value function, argument, global, error;
  napi_status status;
  if (napi_get_reference_value(s->env, function_ref, &function) != napi_ok || function == NULL ||
      napi_create_int32(s->env, value, &argument) != napi_ok || napi_get_global(s->env, &global) != napi_ok) {
    return;
  }
  status = napi_call_function(s->env, global, function, 1, &argument, NULL);
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(s->env, &error) == napi_ok) {
    napi_fatal_exception(s->env, error);
  }
}

static void on_readable(uv_poll_t *handle, int status, int events);

static void drain(struct session *s, int poll_status) {
  size_t bytes = 0;
  for (int i = 0; i < BATCH_REQUESTS && bytes < BATCH_BYTES && s->serving; i++) {
    napi_handle_scope scope;
    ssize_t n = read(s->fd, s->in, s->in_size);
    int error = n < 0 ? errno : 0;
    /* ENOENT: the request was interrupted before we got it. */
    if (error == EINTR || error == ENOENT) continue;
    if (error == EAGAIN) {
      if (poll_status >= 0) return;
      error = EIO;
    }
    if (napi_open_handle_scope(s->env, &scope) != napi_ok) return;
    if (error == 0) {
      bytes += (size_t)n;
      call_with(s, s->on_request, (int32_t)n);
    } else {
      stop_polling(s);
      call_with(s, s->on_end, error);
    }
    napi_close_handle_scope(s->env, scope);
  }
  /* libuv has stopped watching after a poll error; requests that were still queued came first. */
  if (poll_status < 0 && s->serving) uv_poll_start(s->poll, UV_READABLE_EVENT, on_readable);
}

static void on_readable(uv_poll_t *handle, int status, int events) {
  struct session *s = uv_handle_get_data((uv_handle_t *)handle);
  napi_handle_scope scope;
  napi_callback_scope callback_scope;
  napi_value resource;
  (void)events;
  if (!s->serving || napi_open_handle_scope(s->env, &scope) != napi_ok) return;
  /* One callback scope per batch: promise continuations run once after it, and what they send goes out together. */
  if (napi_get_reference_value(s->env, s->resource, &resource) == napi_ok &&
      napi_open_callback_scope(s->env, resource, s->async, &callback_scope) == napi_ok) {
    drain(s, status);
    napi_close_callback_scope(s->env, callback_scope);
  }
  napi_close_handle_scope(s->env, scope);
}

static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  void *data = NULL;
  uint32_t length = 0;
  if (!arguments(env, info, 1, argv, &data)) return NULL;
  struct session *s = data;
  TRY(env, napi_get_value_uint32(env, argv[0], &length));
  if (length > s->out_size) return throw_text(env, "reply is longer than the reply buffer");
  if (s->closed) return number(env, EBADF);
  for (;;) {
    if (write(s->fd, s->out, length) >= 0) return number(env, 0);
    if (errno != EINTR) return number(env, errno);
  }
}

static napi_value js_send_with(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  void *data = NULL;
  uint32_t length = 0;
  struct iovec parts[2];
  if (!arguments(env, info, 2, argv, &data)) return NULL;
  struct session *s = data;
  TRY(env, napi_get_value_uint32(env, argv[0], &length));
  TRY(env, napi_get_buffer_info(env, argv[1], &parts[1].iov_base, &parts[1].iov_len));
  if (length > s->out_size) return throw_text(env, "reply is longer than the reply buffer");
  if (s->closed) return number(env, EBADF);
  parts[0].iov_base = s->out;
  parts[0].iov_len = length;
  for (;;) {
    if (writev(s->fd, parts, 2) >= 0) return number(env, 0);
    if (errno != EINTR) return number(env, errno);
  }
}

/* ---- notifying ------------------------------------------------------------------------------------------------- */

/* Writes each message of a job; answers the first errno that is more than "the kernel does not have it". */
static int write_messages(int fd, const struct job *job) {
  size_t at = 0;
  int failure = 0;
  while (at + NOTIFY_HEADER_BYTES <= job->size) {
    uint32_t length;
    memcpy(&length, job->bytes + at, sizeof length);
    if (length < NOTIFY_HEADER_BYTES || length > job->size - at) return EINVAL;
    while (write(fd, job->bytes + at, length) < 0) {
      if (errno == EINTR) continue;
      if (errno == ENODEV || errno == ENOTCONN || errno == ECONNABORTED || errno == EBADF) return errno;
      if (errno != ENOENT && failure == 0) failure = errno;
      break;
    }
    at += length;
  }
  return failure;
}

/* Under the lock. The number must not be reused while a thread may still write to it. */
static void close_when_idle(struct session *s) {
  if (s->stopping && s->writing == 0 && s->fd >= 0) {
    close(s->fd);
    s->fd = -1;
  }
}

static void *notifier(void *argument) {
  struct session *s = argument;
  pthread_mutex_lock(&s->lock);
  for (;;) {
    s->idle++;
    while (s->first == NULL && !s->stopping) pthread_cond_wait(&s->wake, &s->lock);
    s->idle--;
    if (s->stopping) break;
    struct job *job = s->first;
    int fd = s->fd;
    s->first = job->next;
    if (s->first == NULL) s->last = NULL;
    s->queued--;
    s->writing++;
    pthread_mutex_unlock(&s->lock);

    job->error = write_messages(fd, job);
    if (napi_call_threadsafe_function(s->notified, job, napi_tsfn_nonblocking) != napi_ok) free(job);

    pthread_mutex_lock(&s->lock);
    s->writing--;
    close_when_idle(s);
  }
  s->threads--;
  pthread_mutex_unlock(&s->lock);
  napi_release_threadsafe_function(s->notified, napi_tsfn_release);
  return NULL;
}

/* On the main thread: tells JavaScript that a job is done. env is NULL while Node shuts down. */
static void on_notified(napi_env env, napi_value callback, void *context, void *data) {
  struct job *job = data;
  napi_value argv[2], global, error;
  (void)context;
  if (env != NULL && callback != NULL && napi_get_global(env, &global) == napi_ok &&
      napi_create_uint32(env, job->id, &argv[0]) == napi_ok && napi_create_int32(env, job->error, &argv[1]) == napi_ok) {
    if (napi_call_function(env, global, callback, 2, argv, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
      napi_fatal_exception(env, error);
    }
  }
  free(job);
}

/* Under the lock: a thread for the queued job, unless one is idle or enough run. Answers an errno. */
static int ensure_thread(struct session *s) {
  if (s->idle >= s->queued || s->threads >= NOTIFIER_THREADS) return 0;
  if (napi_acquire_threadsafe_function(s->notified) != napi_ok) return ECANCELED;
  int error = start_thread(notifier, s);
  if (error != 0) {
    napi_release_threadsafe_function(s->notified, napi_tsfn_release);
    return s->threads > 0 ? 0 : error;
  }
  s->threads++;
  return 0;
}

static napi_value js_notify(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  void *data = NULL, *bytes = NULL;
  size_t size = 0;
  uint32_t id = 0;
  int error = 0;
  if (!arguments(env, info, 2, argv, &data)) return NULL;
  struct session *s = data;
  TRY(env, napi_get_value_uint32(env, argv[0], &id));
  TRY(env, napi_get_buffer_info(env, argv[1], &bytes, &size));
  struct job *job = malloc(sizeof *job + size);
  if (job == NULL) return number(env, ENOMEM);
  job->next = NULL;
  job->id = id;
  job->error = 0;
  job->size = size;
  memcpy(job->bytes, bytes, size);

  pthread_mutex_lock(&s->lock);
  if (s->stopping) {
    error = EBADF;
  } else if (s->queued >= NOTIFY_JOBS_MAX) {
    error = EAGAIN;
  } else {
    s->queued++;
    error = ensure_thread(s);
    if (error != 0) {
      s->queued--;
    } else {
      if (s->last != NULL) s->last->next = job;
      else s->first = job;
      s->last = job;
      pthread_cond_signal(&s->wake);
    }
  }
  pthread_mutex_unlock(&s->lock);
  if (error != 0) free(job);
  return number(env, error);
}

/* ---- session life ---------------------------------------------------------------------------------------------- */

/* Safe at any time on the main thread, also while the environment is torn down. */
static void shut(struct session *s) {
  if (s->closed) return;
  s->closed = true;
  stop_polling(s);
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  while (s->first != NULL) {
    struct job *job = s->first;
    s->first = job->next;
    free(job);
  }
  s->last = NULL;
  s->queued = 0;
  close_when_idle(s);
  pthread_cond_broadcast(&s->wake);
  pthread_mutex_unlock(&s->lock);
  napi_release_threadsafe_function(s->notified, napi_tsfn_release);
}

static void on_environment_exit(void *data) { shut(data); }

static napi_value js_close(napi_env env, napi_callback_info info) {
  void *data = NULL;
  napi_value undefined;
  if (!arguments(env, info, 0, NULL, &data)) return NULL;
  struct session *s = data;
  if (!s->closed) {
    shut(s);
    napi_remove_env_cleanup_hook(env, on_environment_exit, s);
  }
  TRY(env, napi_get_undefined(env, &undefined));
  return undefined;
}

static napi_value start_polling(napi_env env, struct session *s) {
  struct uv_loop_s *loop = NULL;
  napi_value object;
  int status_flags = fcntl(s->fd, F_GETFL);
  if (status_flags < 0 || fcntl(s->fd, F_SETFL, status_flags | O_NONBLOCK) < 0) {
    return throw_text(env, "the descriptor cannot be made non-blocking");
  }
  if (strcmp(uv_handle_type_name(UV_POLL_TYPE), "poll") != 0) return throw_text(env, "unknown libuv: handle type 8 is not poll");
  TRY(env, napi_get_uv_event_loop(env, &loop));
  s->poll = calloc(1, uv_handle_size(UV_POLL_TYPE));
  if (s->poll == NULL) return throw_text(env, "out of memory");
  if (uv_poll_init(loop, s->poll, s->fd) != 0) {
    free(s->poll);
    s->poll = NULL;
    return throw_text(env, "the descriptor cannot be polled");
  }
  uv_handle_set_data((uv_handle_t *)s->poll, s);
  s->serving = true;
  if (uv_poll_start(s->poll, UV_READABLE_EVENT, on_readable) != 0) {
    stop_polling(s);
    return throw_text(env, "polling cannot start");
  }
  TRY(env, napi_create_object(env, &object));
  if (add_method(env, object, "send", js_send, s) == NULL || add_method(env, object, "sendWith", js_send_with, s) == NULL ||
      add_method(env, object, "notify", js_notify, s) == NULL || add_method(env, object, "close", js_close, s) == NULL) {
    return NULL;
  }
  return object;
}

static napi_value js_serve(napi_env env, napi_callback_info info) {
  napi_value argv[6], name, resource;
  if (!arguments(env, info, 6, argv, NULL)) return NULL;
  struct session *s = calloc(1, sizeof *s);
  if (s == NULL) return throw_text(env, "out of memory");
  if (pthread_mutex_init(&s->lock, NULL) != 0 || pthread_cond_init(&s->wake, NULL) != 0) {
    return throw_text(env, "no mutex for the session");
  }
  s->env = env;
  TRY(env, napi_get_value_int32(env, argv[0], &s->fd));
  TRY(env, napi_get_buffer_info(env, argv[1], (void **)&s->in, &s->in_size));
  TRY(env, napi_get_buffer_info(env, argv[2], (void **)&s->out, &s->out_size));
  TRY(env, napi_create_reference(env, argv[1], 1, &s->in_ref));
  TRY(env, napi_create_reference(env, argv[2], 1, &s->out_ref));
  TRY(env, napi_create_reference(env, argv[3], 1, &s->on_request));
  TRY(env, napi_create_reference(env, argv[4], 1, &s->on_end));
  TRY(env, napi_create_string_utf8(env, "janusfs", NAPI_AUTO_LENGTH, &name));
  TRY(env, napi_create_object(env, &resource));
  TRY(env, napi_create_reference(env, resource, 1, &s->resource));
  TRY(env, napi_async_init(env, resource, name, &s->async));
  TRY(env, napi_create_threadsafe_function(env, argv[5], NULL, name, 0, 1, NULL, NULL, NULL, on_notified, &s->notified));
  /* The poll handle keeps the process alive while the mount lives; the notifier alone must not. */
  TRY(env, napi_unref_threadsafe_function(env, s->notified));
  TRY(env, napi_add_env_cleanup_hook(env, on_environment_exit, s));
  napi_value served = start_polling(env, s);
  if (served == NULL) {
    /* The descriptor stays the caller's. */
    s->fd = -1;
    shut(s);
    napi_remove_env_cleanup_hook(env, on_environment_exit, s);
  }
  return served;
}

NAPI_MODULE_INIT() {
  napi_value version;
  TRY(env, napi_create_int32(env, API_VERSION, &version));
  TRY(env, napi_set_named_property(env, exports, "apiVersion", version));
  if (add_method(env, exports, "serve", js_serve, NULL) == NULL) return NULL;
  if (add_checksum_functions(env, exports) == NULL) return NULL;
  return add_mount_functions(env, exports);
}
