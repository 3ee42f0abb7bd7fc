#include "simt/fiber.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// simt_switch_stack(&save, load): pushes what a call must preserve, swaps stacks, pops it. Ten times as fast as
// swapcontext, which asks the kernel for the signal mask.
extern "C" void simt_switch_stack(void** save, void* load);
asm(R"(
.text
.globl simt_switch_stack
.hidden simt_switch_stack
.type simt_switch_stack,@function
simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch_stack,.-simt_switch_stack
)");

namespace simt {
namespace {

#if defined(__SANITIZE_ADDRESS__)
thread_local const void* caller_bottom;
thread_local size_t caller_size;
thread_local void* caller_fake_stack;
void start_switch(void** fake, const void* bottom, size_t size) { __sanitizer_start_switch_fiber(fake, bottom, size); }
void finish_switch(void* fake, const void** bottom, size_t* size) {
  __sanitizer_finish_switch_fiber(fake, bottom, size);
}
#endif

}  // namespace

Fiber::Fiber() {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<char*>(memory);
}

Fiber::~Fiber() { ::munmap(stack_, kStackBytes); }

void Fiber::start(void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStackBytes);
  fake_stack_ = nullptr;
#endif
  auto** top = reinterpret_cast<void**>(stack_ + kStackBytes);
  *--top = nullptr;  // entry's return address: it never returns
  *--top = reinterpret_cast<void*>(entry);
  for (int preserved = 0; preserved < 6; ++preserved) *--top = nullptr;
  stack_pointer_ = top;
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  start_switch(&caller_fake_stack, stack_, kStackBytes);
#endif
  simt_switch_stack(&caller_stack_pointer_, stack_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  finish_switch(caller_fake_stack, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#if defined(__SANITIZE_ADDRESS__)
  start_switch(&fake_stack_, caller_bottom, caller_size);
#endif
  simt_switch_stack(&stack_pointer_, caller_stack_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  finish_switch(fake_stack_, &caller_bottom, &caller_size);
#endif
}

void Fiber::leave_for_good() {
#if defined(__SANITIZE_ADDRESS__)
  start_switch(nullptr, caller_bottom, caller_size);
#endif
  simt_switch_stack(&stack_pointer_, caller_stack_pointer_);
  std::abort();
}

void Fiber::arrived() {
#if defined(__SANITIZE_ADDRESS__)
  finish_switch(nullptr, &caller_bottom, &caller_size);
#endif
}

}  // namespace simt
