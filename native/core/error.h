// Failures inside the library are C++ exceptions; guard() turns them into a status at the ABI.
#pragma once

#include <exception>
#include <new>
#include <sstream>
#include <string>

#include "moe/status.h"

namespace moe {

class Error : public std::exception {
 public:
  Error(moe_status status, std::string message) : status_(status), message_(std::move(message)) {}
  moe_status status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  moe_status status_;
  std::string message_;
};

// Throws Error. Parts are joined to its message: fail(MOE_INVALID_ARGUMENT, "x has rank ", rank, ", expected 2").
template <typename... Parts>
[[noreturn]] void fail(moe_status status, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(status, text.str());
}

template <typename... Parts>
[[noreturn]] void invalid(const Parts&... parts) {
  fail(MOE_INVALID_ARGUMENT, parts...);
}

// Stores the message for moe_last_error on this thread, prefixed with the function's name.
moe_status record_failure(const char* function, moe_status status, const char* message) noexcept;

// Runs the body of an ABI function and catches every exception.
template <typename Body>
moe_status guard(const char* function, Body&& body) noexcept {
  try {
    body();
    return MOE_OK;
  } catch (const Error& error) {
    return record_failure(function, error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return record_failure(function, MOE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return record_failure(function, MOE_INTERNAL, error.what());
  } catch (...) {
    return record_failure(function, MOE_INTERNAL, "unknown failure");
  }
}

}  // namespace moe
