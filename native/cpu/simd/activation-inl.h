// Activation functions and their derivatives on vectors of float32. The GEMM's epilogue and the elementwise kernels
// share them, so that fused and separate activations give the same bits. Part of each Highway target.
//   identity x;  relu max(x, 0);  gelu x Phi(x);  gelu_tanh x sigmoid(2u);  silu x sigmoid(x)
// Phi is the normal distribution function, u = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks and Gimpel 2016).
#include "core/activation.h"

#if defined(MOE_CPU_ACTIVATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ACTIVATION_INL_H
#undef MOE_CPU_ACTIVATION_INL_H
#else
#define MOE_CPU_ACTIVATION_INL_H
#endif

#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 1 / (1 + exp(-x)). x is clamped to +-87, beyond which softmax_exp overflows and the sigmoid no longer changes.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  const V limit = hn::Set(d, 87.0f), one = hn::Set(d, 1.0f);
  const V clamped = hn::Max(hn::Min(x, limit), hn::Neg(limit));
  return hn::Div(one, hn::Add(one, softmax_exp(hn::Neg(clamped))));
}

// exp(-x^2 / 2)
template <class D, class V = hn::Vec<D>>
HWY_INLINE V gaussian(D d, V x) {
  return softmax_exp(hn::Mul(hn::Mul(x, hn::Set(d, -0.5f)), x));
}

// The normal distribution function, (1 + erf(x / sqrt 2)) / 2, given gaussian(x). The tail is gaussian(x) times a
// polynomial in s = 1 / (1 + 0.31 |x|), a minimax fit of erfcx(|x| / sqrt 2) / 2 with relative error 3.3e-7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V normal_cdf(D d, V x, V gauss) {
  const V one = hn::Set(d, 1.0f);
  const V s = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, 0.31f), one));
  V poly = hn::Set(d, 0.03584194556f);
  poly = hn::MulAdd(poly, s, hn::Set(d, -0.1416054517f));
  poly = hn::MulAdd(poly, s, hn::Set(d, 0.1550692767f));
  poly = hn::MulAdd(poly, s, hn::Set(d, -0.01490462478f));
  poly = hn::MulAdd(poly, s, hn::Set(d, 0.1101107523f));
  poly = hn::MulAdd(poly, s, hn::Set(d, 0.1077709198f));
  poly = hn::MulAdd(poly, s, hn::Set(d, 0.1240603700f));
  poly = hn::MulAdd(poly, s, hn::Set(d, 0.1236569062f));
  const V tail = hn::Mul(hn::Mul(poly, s), gauss);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

// 2u of gelu_tanh.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V gelu_tanh_argument(D d, V x) {
  const V cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.0713548163f), hn::Set(d, 1.5957691216f));
  return hn::Mul(x, cubic);
}

// activation(x)
template <moe_activation kActivation, class D, class V = hn::Vec<D>>
HWY_INLINE V activate(D d, V x) {
  if constexpr (kActivation == MOE_RELU) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);  // NaN stays NaN
  } else if constexpr (kActivation == MOE_GELU) {
    return hn::Mul(x, normal_cdf(d, x, gaussian(d, x)));
  } else if constexpr (kActivation == MOE_GELU_TANH) {
    return hn::Mul(x, sigmoid(d, gelu_tanh_argument(d, x)));
  } else if constexpr (kActivation == MOE_SILU) {
    return hn::Mul(x, sigmoid(d, x));
  } else {
    return x;
  }
}

// activation'(x)
template <moe_activation kActivation, class D, class V = hn::Vec<D>>
HWY_INLINE V activation_derivative(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  if constexpr (kActivation == MOE_RELU) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), one);
  } else if constexpr (kActivation == MOE_GELU) {
    const V gauss = gaussian(d, x);
    return hn::MulAdd(hn::Mul(x, gauss), hn::Set(d, 0.3989422804f), normal_cdf(d, x, gauss));
  } else if constexpr (kActivation == MOE_GELU_TANH) {
    const V limit = hn::Set(d, 20.0f);  // the derivative is 0 or 1 from here on, and x^2 must not overflow
    const V y = hn::Max(hn::Min(x, limit), hn::Neg(limit));
    const V s = sigmoid(d, gelu_tanh_argument(d, y));
    const V slope = hn::MulAdd(hn::Mul(y, y), hn::Set(d, 0.2140644488f), hn::Set(d, 1.5957691216f));
    return hn::MulAdd(hn::Mul(hn::Mul(y, s), hn::Sub(one, s)), slope, s);
  } else if constexpr (kActivation == MOE_SILU) {
    const V s = sigmoid(d, x);
    return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
  } else {
    return one;
  }
}

// An elementwise activation: one output per input.
template <moe_activation kActivation>
struct Elementwise {
  static constexpr bool kGated = false;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V value(D d, V x) const {
    return activate<kActivation>(d, x);
  }
  // dx from x and the gradient dy of y.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V gradient(D d, V x, V dy) const {
    return hn::Mul(dy, activation_derivative<kActivation>(d, x));
  }
};

// y = activation(g) u: one output per gate g and up u. SwiGLU with silu, GeGLU with gelu_tanh.
template <moe_activation kActivation>
struct Gated {
  static constexpr bool kGated = true;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V value(D d, V g, V u) const {
    return hn::Mul(activate<kActivation>(d, g), u);
  }
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void gradient(D d, V g, V u, V dy, V& dg, V& du) const {
    dg = hn::Mul(hn::Mul(dy, u), activation_derivative<kActivation>(d, g));
    du = hn::Mul(dy, activate<kActivation>(d, g));
  }
};

// y = (u' + up_offset) g' sigmoid(alpha g'), with g' = min(g, limit), u' = clamp(u, -limit, limit). Clamps keep NaN.
struct ClampedSwiglu {
  static constexpr bool kGated = true;
  float limit, alpha, up_offset;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V value(D d, V g, V u) const {
    const V gate = below(d, g);
    return hn::Mul(hn::Mul(gate, sigmoid(d, hn::Mul(hn::Set(d, alpha), gate))), up(d, u));
  }
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void gradient(D d, V g, V u, V dy, V& dg, V& du) const {
    const V one = hn::Set(d, 1.0f), most = hn::Set(d, limit);
    const V gate = below(d, g), scaled = hn::Mul(hn::Set(d, alpha), gate), s = sigmoid(d, scaled);
    const V slope = hn::Mul(s, hn::MulAdd(scaled, hn::Sub(one, s), one));
    dg = hn::IfThenZeroElse(hn::Gt(g, most), hn::Mul(hn::Mul(dy, up(d, u)), slope));
    du = hn::IfThenZeroElse(hn::Gt(hn::Abs(u), most), hn::Mul(dy, hn::Mul(gate, s)));
  }

 private:
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V below(D d, V x) const {
    const V most = hn::Set(d, limit);
    return hn::IfThenElse(hn::Gt(x, most), most, x);
  }
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V up(D d, V u) const {
    return hn::Add(hn::Neg(below(d, hn::Neg(below(d, u)))), hn::Set(d, up_offset));
  }
};

// Calls body with the activation's type, so that its kind is chosen outside the loops.
template <class Body>
HWY_INLINE void with_activation(const moe_activation_config& activation, Body&& body) {
  switch (activation.kind) {
    case MOE_RELU: return body(Elementwise<MOE_RELU>());
    case MOE_GELU: return body(Elementwise<MOE_GELU>());
    case MOE_GELU_TANH: return body(Elementwise<MOE_GELU_TANH>());
    case MOE_SILU: return body(Elementwise<MOE_SILU>());
    case MOE_SWIGLU:
      if (is_plain(activation)) return body(Gated<MOE_SILU>());
      return body(ClampedSwiglu{activation.limit, activation.alpha, activation.up_offset});
    case MOE_GEGLU_TANH: return body(Gated<MOE_GELU_TANH>());
    default: return body(Elementwise<MOE_IDENTITY>());
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
