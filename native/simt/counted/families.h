// One call of each kernel family at the sizes of docs/kernels-cuda-counted.md: M 2048, F 1024, 64 experts, top-8.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "moe/moe.h"

namespace moe::counted {

// A stream, and tensors that live until this does.
class Operands {
 public:
  explicit Operands(moe_stream on, moe_device of) : stream(on), device(of) {}
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;
  ~Operands();

  moe_tensor* make(moe_dtype dtype, std::initializer_list<int64_t> shape);

  const moe_stream stream;
  const moe_device device;

 private:
  std::deque<moe_tensor> tensors_;
};

// A call, and what an ideal kernel of it does: reads and writes each operand once.
struct Call {
  double bytes, operations;
  std::function<void()> run;
};

struct Family {
  std::string name;
  std::vector<int64_t> tokens;  // S of its rows; 0: the call has no tokens
  Call (*prepare)(Operands& operands, int64_t tokens);
};

const std::vector<Family>& families();

// Ends the program with the last call's message if it failed.
void require(moe_status status);

}  // namespace moe::counted
