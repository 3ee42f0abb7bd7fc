package panamoe.backend.abi;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A function of the C ABI and its valid calls, read from one line of {@link #ALL}: the function,
 * then its parameters in order.
 *
 * <pre>
 *   stream                    a handle
 *   config                    a moe_gate_config
 *   activation                a moe_activation_config
 *   blocks                    a moe_blocks from R rows to S
 *   name{...}                 a struct of these members, after its struct_size
 *   name=0..5, name=0..9L     int32, int64 of this range
 *   name~0..1                 float of this range
 *   name:f[S,M]               tensor of type f and shape [S, M]; AbiSizes chooses the letters
 *     types                   F float32, f float32 or bfloat16, g the same, one for the whole call, B bfloat16,
 *                             i int32, u uint8, d float64, w floating weights that may be packed,
 *                             c int8 if tensors of ?9 are given, else g
 *     ...&lt;V, ...-&lt;V       indices from 0, from -1, below V
 *     ...@offsets             offsets of groups; @expert and @position: routes that fit them, the same at each mention
 *     ...?, ...?1             may be null; those with one number are null together. Of an activation and the struct
 *                             around it: null for the identity
 * </pre>
 */
record AbiSignature(String function, List<Parameter> parameters) {

  /** A valid argument. */
  sealed interface Parameter {
    record Stream() implements Parameter {}

    /** "config", "activation" or "blocks". */
    record Config(String name, boolean optional) implements Parameter {}

    record Struct(String name, List<Parameter> members, boolean optional) implements Parameter {}

    record Int(String name, int low, int high) implements Parameter {}

    record Long(long low, long high) implements Parameter {}

    record Float(float low, float high) implements Parameter {}

    /** {@code optional}: "" never null, "?" alone, "?1" with the others of that number. */
    record Tensor(String name, char type, String sizes, String content, String optional)
        implements Parameter {}
  }

  private static final Pattern WORD = Pattern.compile("[^\\s{]+(\\{[^}]*\\}\\??)?");
  private static final Pattern TENSOR =
      Pattern.compile("(\\w+):(\\w)\\[([\\w,]+)](-?<\\w|@\\w+)?(\\?\\d?)?");
  private static final Pattern INTEGER = Pattern.compile("(\\w+)=(-?\\d+)\\.\\.(\\d+)(L?)");
  private static final Pattern FLOAT = Pattern.compile("\\w+~(-?[\\d.]+)\\.\\.([\\d.]+)");

  /** Every function that runs on a stream. */
  static final List<AbiSignature> ALL =
      """
      moe_stream_synchronize stream
      moe_memory_copy stream src:g[S,M] dst:g[S,M]
      moe_fill stream value~-2..2 y:f[S,M]
      moe_cast stream x:f[S,M] y:f[S,M]
      moe_add stream alpha~-2..2 a:f[S,M] beta~-2..2 b:f[S,M] y:f[S,M]
      moe_clamp_forward stream bound~0..2 x:f[S,M] y:f[S,M]
      moe_clamp_backward stream bound~0..2 x:f[S,M] dy:f[S,M] dx:f[S,M]
      moe_soft_cap stream cap~0.1..2 x:f[S,M] y:f[S,M]
      moe_exp_forward stream bound~-2..2 x:f[S,M] y:f[S,M]
      moe_exp_backward stream bound~-2..2 x:f[S,M] dy:f[S,M] dx:f[S,M]
      moe_activation_forward stream activation x:f[S,N] y:f[S,O]
      moe_activation_backward stream activation x:f[S,N] dy:f[S,O] dx:f[S,N]
      moe_random_uniform stream seed=0..99L offset=0..99L y:f[S,M]
      moe_random_normal stream seed=0..99L offset=0..99L mean~-1..1 deviation~0..2 y:f[S,M]
      moe_random_gumbel stream seed=0..99L offset=0..99L y:f[S,M]
      moe_jitter stream seed=0..99L offset=0..99L epsilon~0..0.5 x:f[S,M] y:f[S,M]
      moe_embedding_forward stream ids:i[S]<V table:f[V,M] positions:i[S]<P?1 position_table:f[P,M]?1 y:f[S,M]
      moe_embedding_backward stream ids:i[S]<V positions:i[S]<P?1 dy:f[S,M] dtable:F[V,M] dposition_table:F[P,M]?1
      moe_layer_norm_forward stream norm{epsilon~0..1 offset~0..1 gamma:F[M] beta:F[M] mean:F[S]?1 rstd:F[S]?1} \
          x:f[S,M] y:f[S,M]
      moe_layer_norm_backward stream norm{epsilon~0..1 offset~0..1 gamma:F[M] beta:F[M]? mean:F[S] rstd:F[S]} \
          x:f[S,M] dy:f[S,M] \
          dx:f[S,M] dgamma:F[M] dbeta:F[M]
      moe_rms_norm_forward stream norm{epsilon~0..1 offset~0..1 gamma:F[M] beta:F[M]? mean:F[S]? rstd:F[S]?} \
          x:f[S,M] y:f[S,M]
      moe_rms_norm_backward stream norm{epsilon~0..1 offset~0..1 gamma:F[M] beta:F[M]? mean:F[S]? rstd:F[S]} \
          x:f[S,M] dy:f[S,M] \
          dx:f[S,M] dgamma:F[M]
      moe_rotary stream x:g[S,H,D] angles{interleaved=0..1 positions:i[S]<P cosine:F[P,J] sine:F[P,J]} \
          direction=1..1 y:g[S,H,D]
      moe_head_copy stream columns{transpose=0..0 from=0..0L to=0..0L count=0..1L} x:g[S,H,D] y:g[S,H,D]
      moe_attention_forward stream rules{mask=0..1 scale~0..1 cap~0..2 window=0..1L} \
          inputs{q:g[B,L,H,D] k:g[B,L,G,D] v:g[B,L,G,D] sinks:F[H]?} out:g[B,L,H,D] logsumexp:F[B,H,L]?
      moe_attention_backward stream rules{mask=0..1 scale~0..1 cap~0..2 window=0..1L} \
          inputs{q:g[B,L,H,D] k:g[B,L,G,D] v:g[B,L,G,D] sinks:F[H]?1} out:g[B,L,H,D] logsumexp:F[B,H,L] \
          dout:g[B,L,H,D] gradients{dq:g[B,L,H,D] dk:g[B,L,G,D] dv:g[B,L,G,D] dsinks:F[H]?1}
      moe_cache_append stream k:g[S,G,D] v:g[S,G,D] \
          places{keys:c[U,Y,G,D] values:c[U,Y,G,D] key_scales:F[U,Y,G]?9 value_scales:F[U,Y,G]?9 table:i[X,Z]<U \
          slot:i[S]<X position:i[S]<C}
      moe_attention_decode stream rules{mask=0..0 scale~0..1 cap~0..2 window=0..5L} q:g[S,H,D] sinks:F[H]? \
          places{keys:c[U,Y,G,D] values:c[U,Y,G,D] key_scales:F[U,Y,G]?9 value_scales:F[U,Y,G]?9 table:i[X,Z]<U \
          slot:i[S]<X position:i[S]<C} out:g[S,H,D]
      moe_attention_biased stream rules{mask=0..0 scale~0..1 cap=0..0 window=0..5L} \
          bias{bias:F[Q,H] position:i[S]<V} q:g[S,H,D] \
          places{keys:c[U,Y,G,D] values:c[U,Y,G,D] key_scales:F[U,Y,G]?9 value_scales:F[U,Y,G]?9 table:i[X,Z]<U \
          slot:i[S]<X position:i[S]<C} out:g[S,H,D]
      moe_gemm stream form{transpose_a=0..1 transpose_b=0..1 accumulate=0..1} a:f[a,b] b:w[c,d] c:f[S,O] \
          epilogue{activation? bias:F[N]? preactivation:f[S,N]? addend:f[S,N]?}?
      moe_column_sum stream x:f[S,M] y:F[M]
      moe_gemm_pack stream weights:f[E,N,K] packed:w[E,N,K]
      moe_gate_forward stream config \
          inputs{logits:F[S,E] used:u[S]<2? bias:F[E]? noise:F[S,E]? priority:F[S,E]?} \
          routes{scores:F[S,E] expert:i[S,T] position:i[S,T] weight:F[S,T] choice:i[S,T] counts:i[E] offsets:i[A] \
          losses:F[2]}
      moe_gate_backward stream config \
          inputs{logits:F[S,E] used:u[S]<2? bias:F[E]? noise:F[S,E]? priority:F[S,E]?} \
          routes{scores:F[S,E] expert:i[S,T]@expert position:i[S,T]? weight:F[S,T]? choice:i[S,T]@expert counts:i[E]? \
          offsets:i[A]? losses:F[2]?} \
          gradients{dauxiliary~0..1 dz~0..1 dweight:F[S,T] dlogits:F[S,E] batch_used:i[1]?1 batch_chosen:i[1,E]?1}
      moe_balance_forward stream balance{score=0..1 choices=1..1 normalized=0..1} scores:F[Z,E] choice:i[Z,T]-<E \
          sums{used:i[B] chosen:i[B,E] scores:d[B,E] entropy:d[B]?}
      moe_balance_join stream parts:d[B,W] sums{used:i[1] chosen:i[1,E] scores:d[1,E] entropy:d[1]?} z:F[1]
      moe_balance_loss stream balance{score=0..1 choices=1..1 normalized=0..1} \
          sums{used:i[B] chosen:i[B,E] scores:d[B,E] entropy:d[B]?} sequences=1..9L loss:F[1]
      moe_balance_backward stream balance{score=0..1 choices=1..1 normalized=0..1} dloss~0..1 scores:F[Z,E] \
          sums{used:i[B] chosen:i[B,E] scores:d[B,E]? entropy:d[B]?} dlogits:F[Z,E]
      moe_dispatch_forward stream x:g[S,M] \
          routes{scores:F[S,E]? expert:i[S,T]@expert position:i[S,T]@position weight:F[S,T]? choice:i[S,T]? \
          counts:i[E]? offsets:i[A]@offsets losses:F[2]?} rows:g[R,M]
      moe_dispatch_backward stream drows:f[R,M] \
          routes{scores:F[S,E]? expert:i[S,T]@expert position:i[S,T]@position weight:F[S,T]? choice:i[S,T]? \
          counts:i[E]? offsets:i[A]@offsets losses:F[2]?} dx:f[S,M]
      moe_block_copy stream blocks x:g[R,M] y:g[S,M]
      moe_slot_starts stream rows=20..20L offsets:i[A]@offsets slots:i[P,60] starts:i[A]
      moe_slot_routes stream counts=9..9L slots:i[P,60]<3 expert:i[I,1] position:i[I,1] offsets:i[A]
      moe_expert_forward stream x:f[R,K] offsets:i[A]@offsets weights:w[E,N,K] y:f[R,O] \
          epilogue{activation? bias:F[E,N]? preactivation:f[R,N]? addend:f[R,N]?}?
      moe_expert_backward_input stream dy:f[R,N] offsets:i[A]@offsets weights:w[E,N,K] dx:f[R,K]
      moe_expert_backward_weights stream accumulate=0..1 dy:f[R,N] x:f[R,K] offsets:i[A]@offsets \
          dweights:f[E,N,K] dbias:F[E,N]?
      moe_combine_forward stream inputs{rows:f[R,M] mlp:f[S,M]?1 coefficient:F[S,2]?1 skip:f[S,M]?} \
          routes{scores:F[S,E]? expert:i[S,T]@expert position:i[S,T]@position weight:F[S,T] choice:i[S,T]? \
          counts:i[E]? offsets:i[A]@offsets losses:F[2]?} y:f[S,M]
      moe_combine_backward stream dy:f[S,M] inputs{rows:f[R,M] mlp:f[S,M]?1 coefficient:F[S,2]?1 skip:f[S,M]?} \
          routes{scores:F[S,E]? expert:i[S,T]@expert position:i[S,T]@position weight:F[S,T] choice:i[S,T]? \
          counts:i[E]? offsets:i[A]@offsets losses:F[2]?} \
          gradients{drows:f[R,M] dweight:F[S,T] dmlp:f[S,M]?1 dcoefficient:F[S,2]?1}
      moe_cross_entropy stream tokens{smoothing~0..1 dloss~0..1 cap~0..3 targets:i[S]-<V losses:F[S]} logits:f[S,V] \
          dlogits:f[S,V]?
      moe_linear_cross_entropy stream tokens{smoothing~0..1 dloss~0..1 cap~0..3 targets:i[S]-<V losses:F[S]} \
          hidden:f[S,M] \
          weights:f[V,M] dhidden:f[S,M]?1 dweights:F[V,M]?1
      moe_linear_distillation stream tokens{smoothing~0..1 dloss~0..1 cap~0..3 targets:i[S]-<V losses:F[S]} \
          teacher{temperature~0.1..4 weight~0..9 cap~0..3 hidden:f[S,N] weights:f[V,N] divergences:F[S]} hidden:f[S,M] \
          weights:f[V,M] dhidden:f[S,M]?1 dweights:F[V,M]?1
      moe_adamw_step stream \
          form{rate~0..1 beta1~0..0.9 beta2~0..0.9 epsilon~0..1 decay~0..1 scale~0..1 step=1..9L} \
          parameter:F[S,M] gradient:F[S,M] first_moment:F[S,M] second_moment:F[S,M] copy:B[S,M]?
      moe_square_sum stream x:f[S,M] sum:F[1]
      moe_sample stream \
          sampling{temperature:F[S] min_p:F[S] top_k:i[S]<V top_p:F[S] uniform:d[S] tokens:i[S]} logits:F[S,V]
      """
          .lines()
          .map(AbiSignature::parse)
          .toList();

  private static AbiSignature parse(String line) {
    String[] parts = line.split("\\s+", 2);
    return new AbiSignature(parts[0], parameters(parts[1]));
  }

  private static List<Parameter> parameters(String words) {
    return WORD.matcher(words).results().map(word -> parameter(word.group())).toList();
  }

  private static Parameter parameter(String word) {
    int brace = word.indexOf('{');
    if (brace > 0) {
      String members = word.substring(brace + 1, word.indexOf('}'));
      return new Parameter.Struct(
          word.substring(0, brace), parameters(members), word.endsWith("?"));
    }
    Matcher tensor = TENSOR.matcher(word);
    if (tensor.matches()) {
      return new Parameter.Tensor(
          tensor.group(1),
          tensor.group(2).charAt(0),
          tensor.group(3),
          orEmpty(tensor.group(4)),
          orEmpty(tensor.group(5)));
    }
    Matcher integer = INTEGER.matcher(word);
    if (integer.matches()) {
      int low = Integer.parseInt(integer.group(2));
      int high = Integer.parseInt(integer.group(3));
      return integer.group(4).isEmpty()
          ? new Parameter.Int(integer.group(1), low, high)
          : new Parameter.Long(low, high);
    }
    Matcher number = FLOAT.matcher(word);
    if (number.matches()) {
      return new Parameter.Float(
          Float.parseFloat(number.group(1)), Float.parseFloat(number.group(2)));
    }
    return switch (word) {
      case "stream" -> new Parameter.Stream();
      case "config", "activation", "blocks" -> new Parameter.Config(word, false);
      case "activation?" -> new Parameter.Config("activation", true);
      default -> throw new IllegalArgumentException("not a parameter: " + word);
    };
  }

  private static String orEmpty(String group) {
    return group == null ? "" : group;
  }
}
