package panamoe.backend;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Arrays;
import java.util.List;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * An activation and its parameters: {@code moe_activation_config} of the C ABI. SwiGLU of a row's
 * first half g and second half u is {@code (u' + upOffset) * g' * sigmoid(alpha * g')} with {@code
 * g' = min(g, limit)} and {@code u' = clamp(u, -limit, limit)}; its derivative is 0 where a value
 * is clamped.
 *
 * <p>In JSON, an activation without parameters is the name of its kind, one with parameters an
 * object.
 *
 * @param limit above 0; infinite for all kinds but SwiGLU
 * @param alpha finite; 1 for all kinds but SwiGLU
 * @param upOffset finite; 0 for all kinds but SwiGLU
 */
public record Activation(Kind kind, float limit, float alpha, float upOffset) {
  /** The functions, in the order of {@code moe_activation}. */
  public enum Kind {
    IDENTITY,
    RELU,
    /** {@code x * (1 + erf(x / sqrt 2)) / 2}. */
    GELU,
    /** The tanh approximation of GELU (GPT-2, BERT). */
    GELU_TANH,
    /** {@code x * sigmoid(x)}. */
    SILU,
    /** {@code silu(g) * u}; g and u are the first and second half of the last dimension. */
    SWIGLU,
    /** {@code gelu_tanh(g) * u} of the same halves (Gemma). */
    GEGLU_TANH,
    /** A user's own, on a device where its kernel is installed ({@code panamoe.runtimekernel}). */
    CUSTOM;

    /** The value of {@code moe_activation}. */
    public int code() {
      return ordinal();
    }
  }

  public static final Activation IDENTITY = plain(Kind.IDENTITY);
  public static final Activation RELU = plain(Kind.RELU);
  public static final Activation GELU = plain(Kind.GELU);
  public static final Activation GELU_TANH = plain(Kind.GELU_TANH);
  public static final Activation SILU = plain(Kind.SILU);
  public static final Activation SWIGLU = plain(Kind.SWIGLU);
  public static final Activation GEGLU_TANH = plain(Kind.GEGLU_TANH);
  public static final Activation CUSTOM = plain(Kind.CUSTOM);

  /** Activations of every backend, and a SwiGLU with parameters (GPT-OSS). */
  public static final List<Activation> BUILT_IN =
      List.of(
          IDENTITY, RELU, GELU, GELU_TANH, SILU, SWIGLU, GEGLU_TANH, clampedSwiglu(7, 1.702f, 1));

  /**
   * @throws IllegalArgumentException if a parameter is out of range, or the kind takes none
   */
  public Activation {
    Require.that(kind != null, "kind is null");
    Require.that(limit > 0, "limit is " + limit + ", expected more than 0");
    Require.that(Float.isFinite(alpha), "alpha is " + alpha + ", expected a finite number");
    Require.that(
        Float.isFinite(upOffset), "upOffset is " + upOffset + ", expected a finite number");
    Require.that(
        kind == Kind.SWIGLU || isPlain(limit, alpha, upOffset),
        kind + " takes no limit, alpha and upOffset, only SWIGLU does");
  }

  /** SwiGLU with parameters, such as GPT-OSS's: limit 7, alpha 1.702, offset 1. */
  public static Activation clampedSwiglu(float limit, float alpha, float upOffset) {
    return new Activation(Kind.SWIGLU, limit, alpha, upOffset);
  }

  private static Activation plain(Kind kind) {
    return new Activation(kind, Float.POSITIVE_INFINITY, 1, 0);
  }

  /** Whether the parameters change nothing. */
  public boolean isPlain() {
    return isPlain(limit, alpha, upOffset);
  }

  private static boolean isPlain(float limit, float alpha, float upOffset) {
    return limit == Float.POSITIVE_INFINITY && alpha == 1 && upOffset == 0;
  }

  /** Columns of pre-activation for each column of output: 2 for gated activations, else 1. */
  public int inputsPerOutput() {
    return kind == Kind.SWIGLU || kind == Kind.GEGLU_TANH ? 2 : 1;
  }

  @Override
  public String toString() {
    return isPlain()
        ? kind.name()
        : kind + "(limit " + limit + ", alpha " + alpha + ", upOffset " + upOffset + ")";
  }

  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  static Activation named(String name) {
    for (Kind kind : Kind.values()) {
      if (kind.name().equals(name)) {
        return plain(kind);
      }
    }
    throw new IllegalArgumentException(
        "expected one of " + Arrays.stream(Kind.values()).map(kind -> "\"" + kind + "\"").toList());
  }

  @JsonCreator(mode = JsonCreator.Mode.PROPERTIES)
  static Activation ofObject(
      @JsonProperty("kind") Kind kind,
      @Omittable @JsonProperty("limit") Float limit,
      @Omittable @JsonProperty("alpha") Float alpha,
      @Omittable @JsonProperty("upOffset") Float upOffset) {
    Require.that(
        kind == null || kind == Kind.SWIGLU,
        "write \"" + kind + "\" instead of an object, which only SWIGLU may be");
    Require.that(
        limit != null && alpha != null && upOffset != null,
        "write \"SWIGLU\", or an object with all of kind, limit, alpha and upOffset");
    return new Activation(kind, limit, alpha, upOffset);
  }

  private record WithParameters(Kind kind, float limit, float alpha, float upOffset) {}

  @JsonValue
  Object json() {
    return isPlain() ? kind.name() : new WithParameters(kind, limit, alpha, upOffset);
  }
}
