/* What the parts of the addon share: errors as JavaScript exceptions, arguments, threads. */
#ifndef JANUSFS_COMMON_H
#define JANUSFS_COMMON_H

#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum { THREAD_STACK_BYTES = 256 * 1024 };

static inline void throw_status(napi_env env, const char *what) {
  const napi_extended_error_info *info = NULL;
  bool pending = false;
  char text[256];
  if (napi_get_last_error_info(env, &info) != napi_ok || info == NULL || info->error_message == NULL) {
    snprintf(text, sizeof text, "%s failed", what);
  } else {
    snprintf(text, sizeof text, "%s failed: %s", what, info->error_message);
  }
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) napi_throw_error(env, "ERR_JANUSFS_ADDON", text);
}

/* Leaves the calling function with a JavaScript exception when an N-API call fails. */
#define TRY(env, call)                  \
  do {                                  \
    if ((call) != napi_ok) {            \
      throw_status((env), #call);       \
      return NULL;                      \
    }                                   \
  } while (0)

static inline napi_value throw_text(napi_env env, const char *text) {
  napi_throw_error(env, "ERR_JANUSFS_ADDON", text);
  return NULL;
}

static inline napi_value number(napi_env env, int32_t value) {
  napi_value result = NULL;
  TRY(env, napi_create_int32(env, value, &result));
  return result;
}

/* Reads the arguments; throws and answers false when there are too few. */
static inline bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value *out, void **data) {
  size_t count = wanted;
  if (napi_get_cb_info(env, info, &count, out, NULL, data) != napi_ok) {
    throw_status(env, "napi_get_cb_info");
    return false;
  }
  if (count < wanted) {
    throw_text(env, "too few arguments");
    return false;
  }
  return true;
}

static inline int start_thread(void *(*body)(void *), void *argument) {
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, old;
  int error = pthread_attr_init(&attr);
  if (error != 0) return error;
  error = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  if (error == 0) error = pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
  if (error == 0) {
    /* Signals belong to Node's main thread. */
    sigfillset(&all);
    error = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (error == 0) {
      error = pthread_create(&thread, &attr, body, argument);
      pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
  }
  pthread_attr_destroy(&attr);
  return error;
}

static inline napi_value add_method(napi_env env, napi_value object, const char *name, napi_callback callback, void *data) {
  napi_value function;
  TRY(env, napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function));
  TRY(env, napi_set_named_property(env, object, name, function));
  return object;
}

/* mount.c: adds mount, unmount, socketPair and receiveDescriptor. */
napi_value add_mount_functions(napi_env env, napi_value exports);

/* crc64.c: adds crc64nvme. */
napi_value add_checksum_functions(napi_env env, napi_value exports);

#endif
