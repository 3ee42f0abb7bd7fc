#include "core/check.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace moe {
namespace {

const char* set_name(DtypeSet dtypes) {
  switch (dtypes) {
    case kFloat32Only: return "float32";
    case kFloating: return "float32 or bfloat16";
    case kInt32Only: return "int32";
    case kUint8Only: return "uint8";
    case kFloat64Only: return "float64";
    case kFloatingOrInt8: return "float32, bfloat16 or int8";
  }
  return "";
}

constexpr int64_t kMostEmptyRows = int64_t{1} << 24;  // of a tensor without elements, whose rows kernels may loop over

bool contains(DtypeSet dtypes, int32_t dtype) {
  switch (dtypes) {
    case kFloat32Only: return dtype == MOE_FLOAT32;
    case kFloating: return dtype == MOE_FLOAT32 || dtype == MOE_BFLOAT16;
    case kInt32Only: return dtype == MOE_INT32;
    case kUint8Only: return dtype == MOE_UINT8;
    case kFloat64Only: return dtype == MOE_FLOAT64;
    case kFloatingOrInt8: return contains(kFloating, dtype) || dtype == MOE_INT8;
  }
  return false;
}

void check_disjoint(Named one, Named other) {
  const auto& [name_a, a] = one;
  const auto& [name_b, b] = other;
  if (a == nullptr || b == nullptr) return;
  const auto begin_a = reinterpret_cast<uintptr_t>(a->data), begin_b = reinterpret_cast<uintptr_t>(b->data);
  const auto size = [](const moe_tensor& x) {
    return static_cast<uintptr_t>(x.layout != MOE_ROW_MAJOR ? x.bytes : tensor_bytes(x));
  };
  const uintptr_t size_a = size(*a), size_b = size(*b);
  if (size_a > 0 && size_b > 0 && begin_a < begin_b + size_b && begin_b < begin_a + size_a) {
    invalid(name_a, " and ", name_b, " share memory");
  }
}

}  // namespace

bool same_shape(const moe_tensor& a, const moe_tensor& b) {
  return std::equal(a.shape, a.shape + a.rank, b.shape, b.shape + b.rank);
}

std::string shape_text(const int64_t* shape, int32_t rank) {
  std::string text = "[";
  for (int32_t i = 0; i < rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor) {
  check_struct(name, tensor);
  const BlockFormat block = block_of(tensor->dtype);
  if (block.bytes == 0) invalid(name, " has unknown dtype ", tensor->dtype);
  if (tensor->rank < 0 || tensor->rank > MOE_MAX_RANK) {
    invalid(name, " has rank ", tensor->rank, ", expected 0 to ", MOE_MAX_RANK);
  }
  if (tensor->layout < MOE_ROW_MAJOR || tensor->layout > MOE_PACKED_EACH) {
    invalid(name, " has unknown layout ", tensor->layout);
  }
  if (block.elements > 1 && (tensor->rank == 0 || tensor->shape[tensor->rank - 1] % block.elements != 0)) {
    invalid(name, " has shape ", shape_text(*tensor), ", expected rows of whole blocks of ", block.elements);
  }
  int64_t needed = block.bytes, rows = 1;  // kernels may loop over empty rows
  for (int32_t i = 0; i < tensor->rank; ++i) {
    const int64_t size = i + 1 < tensor->rank ? tensor->shape[i] : tensor->shape[i] / block.elements;
    if (size < 0) invalid(name, " has a negative size in shape ", shape_text(*tensor));
    if (__builtin_mul_overflow(needed, size, &needed) ||
        __builtin_mul_overflow(rows, std::max<int64_t>(size, 1), &rows)) {
      invalid(name, " of shape ", shape_text(*tensor), " overflows 63 bits");
    }
  }
  if (needed == 0 && rows > kMostEmptyRows) {
    invalid(name, " of shape ", shape_text(*tensor), " has no elements, yet more than ", kMostEmptyRows, " rows");
  }
  if (tensor->layout != MOE_ROW_MAJOR) return *tensor;  // only the backend knows packed sizes: check_weights
  if (tensor->bytes < needed) {
    invalid(name, " of shape ", shape_text(*tensor), " and dtype ", dtype_name(tensor->dtype), " needs ", needed,
            " bytes, its memory has ", tensor->bytes);
  }
  if (needed > 0 && tensor->data == nullptr) invalid(name, " has null data");
  const int64_t alignment = block.elements > 1 ? 1 : block.bytes;
  if (reinterpret_cast<uintptr_t>(tensor->data) % static_cast<uintptr_t>(alignment) != 0) {
    invalid(name, "'s data is not aligned to ", alignment, " bytes");
  }
  return *tensor;
}

const moe_tensor& check_elements(const char* name, const moe_tensor* tensor, DtypeSet dtypes, int64_t count) {
  check_tensor(name, tensor);
  if (tensor->layout != MOE_ROW_MAJOR) invalid(name, " is packed, expected row-major");
  if (!contains(dtypes, tensor->dtype)) {
    invalid(name, " is ", dtype_name(tensor->dtype), ", expected ", set_name(dtypes));
  }
  if (count != kAny && element_count(*tensor) != count) {
    invalid(name, " of shape ", shape_text(*tensor), " has ", element_count(*tensor), " elements, expected ", count);
  }
  return *tensor;
}

const moe_tensor& check_tensor(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                               std::initializer_list<int64_t> shape) {
  check_elements(name, tensor, dtypes);
  bool matches = tensor->rank == static_cast<int32_t>(shape.size());
  for (int32_t i = 0; matches && i < tensor->rank; ++i) {
    const int64_t expected = shape.begin()[i];
    matches = expected == kAny || tensor->shape[i] == expected;
  }
  if (!matches) {
    std::string expected = "[";
    for (size_t i = 0; i < shape.size(); ++i) {
      expected += i == 0 ? "" : ", ";
      expected += shape.begin()[i] == kAny ? "any" : std::to_string(shape.begin()[i]);
    }
    invalid(name, " has shape ", shape_text(*tensor), ", expected ", expected, "]");
  }
  return *tensor;
}

const moe_tensor* check_optional(const char* name, const moe_tensor* tensor, DtypeSet dtypes,
                                 std::initializer_list<int64_t> shape) {
  return tensor == nullptr ? nullptr : &check_tensor(name, tensor, dtypes, shape);
}

void check_written(std::initializer_list<Named> written, std::initializer_list<Named> read) {
  for (const Named* each = written.begin(); each != written.end(); ++each) {
    for (const Named* other = each + 1; other != written.end(); ++other) check_disjoint(*each, *other);
    for (const Named& other : read) check_disjoint(*each, other);
  }
}

void check_written_or_same(Named written, Named read) {
  const moe_tensor *a = written.second, *b = read.second;
  const bool same = a != nullptr && b != nullptr && a->data == b->data && a->dtype == b->dtype;
  if (!same) check_disjoint(written, read);
}

void check_same_dtype(const char* name_a, const moe_tensor& a, const char* name_b, const moe_tensor& b) {
  if (a.dtype != b.dtype) {
    invalid(name_a, " is ", dtype_name(a.dtype), " but ", name_b, " is ", dtype_name(b.dtype));
  }
}

void check_flag(const char* name, int32_t value) {
  if (value != 0 && value != 1) invalid(name, " is ", value, ", expected 0 or 1");
}

void check_finite(const char* name, double value) {
  if (!std::isfinite(value)) invalid(name, " is ", value, ", expected a finite number");
}

void check_soft_cap(const char* name, float cap) {
  check_finite(name, cap);
  if (cap < 0) invalid(name, " is ", cap, ", expected 0 (no cap) or more");
}

void check_enum(const char* name, int32_t value, int32_t last) {
  if (value < 0 || value > last) invalid(name, " is ", value, ", expected 0 to ", last);
}

moe_activation_config check_activation(const moe_activation_config* activation, const Device& device) {
  const moe_activation_config c = check_struct("activation", activation);
  if (c.kind == MOE_CUSTOM_ACTIVATION && !device.has_custom_activation()) {
    invalid("activation is custom (", c.kind, "), and none was installed on this device");
  }
  if (c.kind < MOE_IDENTITY || c.kind > MOE_CUSTOM_ACTIVATION) invalid("activation ", c.kind, " is unknown");
  if (!(c.limit > 0)) invalid("activation.limit is ", c.limit, ", expected more than 0");
  check_finite("activation.alpha", c.alpha);
  check_finite("activation.up_offset", c.up_offset);
  if (c.kind != MOE_SWIGLU && !is_plain(c)) {
    invalid("activation ", c.kind, " has limit ", c.limit, ", alpha ", c.alpha, " and up_offset ", c.up_offset,
            ", but only SwiGLU takes other than inf, 1 and 0");
  }
  return c;
}

moe_epilogue check_epilogue(const moe_epilogue* epilogue, moe_activation_config& activation, const Device& device) {
  moe_epilogue c = epilogue == nullptr ? kNoEpilogue : check_struct("epilogue", epilogue);
  activation = c.activation == nullptr ? kIdentity : check_activation(c.activation, device);
  c.activation = &activation;
  return c;
}

void check_offset_values(const moe_tensor& offsets, int64_t rows, int32_t* copy) {
  const auto* values = static_cast<const int32_t*>(offsets.data);
  const int64_t experts = offsets.shape[0] - 1;
  int32_t before = 0;
  for (int64_t e = 0; e <= experts; ++e) {
    const int32_t value = read_once(values + e);
    if (e == 0 && value != 0) invalid("offsets[0] is ", value, ", expected 0");
    if (value < before) {
      invalid("offsets[", e, "] is ", value, ", less than offsets[", e - 1, "] = ", before);
    }
    if (copy != nullptr) copy[e] = value;
    before = value;
  }
  if (before > rows) invalid("offsets[", experts, "] is ", before, ", past the ", rows, " rows");
}

void check_route_values(const moe_tensor& expert, const moe_tensor& position, const int32_t* starts, int64_t experts,
                        uint64_t* taken, int32_t* rows) {
  std::fill_n(taken, route_words(starts[experts]), 0);
  const auto* ids = static_cast<const int32_t*>(expert.data);
  const auto* positions = static_cast<const int32_t*>(position.data);
  const int64_t choices = expert.shape[1];
  for (int64_t i = 0, routes = element_count(expert); i < routes; ++i) {
    const int32_t e = read_once(ids + i);
    if (e == -1) {
      if (rows != nullptr) rows[i] = -1;
      continue;
    }
    if (e < 0 || e >= experts) {
      invalid("expert[", i / choices, ", ", i % choices, "] is ", e, ", expected -1 or 0 to ", experts - 1);
    }
    const int32_t at = read_once(positions + i);
    if (at < 0 || at >= starts[e + 1] - starts[e]) {
      invalid("position[", i / choices, ", ", i % choices, "] is ", at, ", outside expert ", e, "'s ",
              starts[e + 1] - starts[e], " rows");
    }
    const int32_t row = starts[e] + at;
    const uint64_t bit = uint64_t{1} << row % 64;
    if ((taken[row / 64] & bit) != 0) {
      invalid("position[", i / choices, ", ", i % choices, "] is ", at, ", which another route to expert ", e, " has");
    }
    taken[row / 64] |= bit;
    if (rows != nullptr) rows[i] = row;
  }
}

void check_range_values(const char* name, const moe_tensor& values, int64_t low, int64_t high, int32_t* copy) {
  const auto* data = static_cast<const int32_t*>(values.data);
  for (int64_t i = 0, count = element_count(values); i < count; ++i) {
    const int32_t value = read_once(data + i);
    if (value < low || value >= high) {
      invalid(name, "[", i, "] is ", value, ", expected ", low, " to ", high - 1);
    }
    if (copy != nullptr) copy[i] = value;
  }
}

int64_t cache_capacity(const moe_cache_places& places) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const int64_t block = places.keys->shape[1], width = places.table->shape[1];
  return width > 0 && block > kMost / width ? kMost : block * width;
}

void check_place_values(const moe_cache_places& places, VisibleKeys visible, int32_t* table, int32_t* slot,
                        int32_t* position) {
  const int64_t blocks = places.keys->shape[0], block = places.keys->shape[1], width = places.table->shape[1];
  check_range_values("slot", *places.slot, 0, places.table->shape[0], slot);
  check_range_values("position", *places.position, 0, cache_capacity(places), position);
  const auto* entries = static_cast<const int32_t*>(places.table->data);
  for (int64_t t = 0; t < places.slot->shape[0]; ++t) {
    const int64_t last = position[t];
    // The previous row had its earlier entries checked.
    const bool continues = t > 0 && slot[t - 1] == slot[t] && position[t - 1] == last - 1;
    const int64_t first = continues ? last : visible.first(last);
    for (int64_t i = first / block; i <= last / block; ++i) {
      const int32_t value = read_once(entries + slot[t] * width + i);
      if (value < 0 || value >= blocks) {
        invalid("table[", slot[t], ", ", i, "] is ", value, ", expected 0 to ", blocks - 1);
      }
      table[slot[t] * width + i] = value;
    }
  }
}

}  // namespace moe
