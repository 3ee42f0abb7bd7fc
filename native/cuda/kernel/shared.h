// Shared memory of a kernel.
#pragma once

// MOE_SHARED(type, name, dimensions): __shared__ type name dimensions. In the emulation each block has its own.
//
// MOE_DYNAMIC_SHARED(type, name, bytes): extern __shared__, aligned to 128 bytes. A size that the compiler knows goes
// into the PTX as the name of an unused register, which ci/cuda.d/compile reads.
#if defined(MOE_SIMT)
#define MOE_SHARED(type, name, ...)      \
  static constexpr char name##_site = 0; \
  auto& name = ::simt::shared_variable<type __VA_ARGS__>(&name##_site, #name)
#define MOE_DYNAMIC_SHARED(type, name, ...) \
  type* name = reinterpret_cast<type*>(::simt::Block::current().shared().dynamic())
#else
#define MOE_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#define MOE_DYNAMIC_SHARED(type, name, ...)                                                 \
  __VA_OPT__(asm volatile("{ .reg .pred dynamic_shared_%0; }" ::"n"(size_t{__VA_ARGS__}));) \
  extern __shared__ __align__(128) unsigned char moe_shared_bytes[];                        \
  type* name = reinterpret_cast<type*>(moe_shared_bytes)
#endif
