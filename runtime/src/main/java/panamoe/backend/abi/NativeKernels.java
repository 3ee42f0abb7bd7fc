package panamoe.backend.abi;

import panamoe.backend.Activation;
import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.CachePlaces;
import panamoe.backend.ElementwiseKernels;
import panamoe.backend.EmbeddingKernels;
import panamoe.backend.GemmKernels;
import panamoe.backend.LossKernels;
import panamoe.backend.NormKernels;
import panamoe.backend.OptimizerKernels;
import panamoe.backend.RelativeBias;
import panamoe.backend.SampleKernels;
import panamoe.tensor.Tensor;

/** The kernels of dense layers, by the native library. */
interface NativeKernels
    extends ElementwiseKernels,
        EmbeddingKernels,
        NormKernels,
        AttentionKernels,
        GemmKernels,
        LossKernels,
        OptimizerKernels,
        SampleKernels,
        NativeContext {
  @Override
  default void fill(float value, Tensor y) {
    launch("moe_fill", value, y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch("moe_cast", x, y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch("moe_memory_copy", x, y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch("moe_add", alpha, a, beta, b, y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch("moe_clamp_forward", bound, x, y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_clamp_backward", bound, x, dy, dx);
  }

  @Override
  default void softCap(float cap, Tensor x, Tensor y) {
    launch("moe_soft_cap", cap, x, y);
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch("moe_exp_forward", bound, x, y);
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_exp_backward", bound, x, dy, dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch("moe_activation_forward", ActivationConfigs.of(activation), x, y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_activation_backward", ActivationConfigs.of(activation), x, dy, dx);
  }

  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch("moe_random_uniform", seed, offset, y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch("moe_random_normal", seed, offset, mean, deviation, y);
  }

  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch("moe_random_gumbel", seed, offset, y);
  }

  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch("moe_jitter", seed, offset, epsilon, x, y);
  }

  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch("moe_embedding_forward", ids, table, positions, positionTable, y);
  }

  @Override
  default void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable) {
    launch("moe_embedding_backward", ids, positions, dy, dtable, dpositionTable);
  }

  @Override
  default void layerNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_layer_norm_forward", Structs.norm(norm), x, y);
  }

  @Override
  default void layerNormBackward(
      Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    launch("moe_layer_norm_backward", Structs.norm(norm), x, dy, dx, dgamma, dbeta);
  }

  @Override
  default void rmsNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_rms_norm_forward", Structs.norm(norm), x, y);
  }

  @Override
  default void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    launch("moe_rms_norm_backward", Structs.norm(norm), x, dy, dx, dgamma);
  }

  @Override
  default void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean adjacent,
      int direction,
      Tensor y) {
    launch("moe_rotary", x, Structs.rotaryAngles(adjacent, positions, cosine, sine), direction, y);
  }

  @Override
  default void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y) {
    launch("moe_head_copy", Structs.headColumns(transpose, from, to, count), x, y);
  }

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        "moe_attention_forward",
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp);
  }

  @Override
  default void attentionBackward(
      AttentionSettings settings,
      AttentionInputs inputs,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      AttentionGradients gradients) {
    launch(
        "moe_attention_backward",
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp,
        dout,
        Structs.attentionGradients(gradients));
  }

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch("moe_cache_append", k, v, Structs.cachePlaces(places));
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_decode",
        Structs.attention(settings),
        q,
        sinks,
        Structs.cachePlaces(places),
        out);
  }

  @Override
  default void attentionBiased(
      AttentionSettings settings, RelativeBias bias, Tensor q, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_biased",
        Structs.attention(settings),
        Structs.relativeBias(bias),
        q,
        Structs.cachePlaces(places),
        out);
  }

  @Override
  default void gemm(
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c,
      Epilogue epilogue) {
    launch(
        "moe_gemm",
        Structs.gemm(transposeA, transposeB, accumulate),
        a,
        b,
        c,
        Structs.epilogue(epilogue));
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch("moe_column_sum", x, y);
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch("moe_gemm_pack", weights, packed);
  }

  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    launch("moe_cross_entropy", Structs.tokenLosses(tokens), logits, dlogits);
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    launch(
        "moe_linear_cross_entropy",
        Structs.tokenLosses(tokens),
        hidden,
        weights,
        dhidden,
        dweights);
  }

  @Override
  default void linearDistillation(
      Tokens tokens,
      Teacher teacher,
      Tensor hidden,
      Tensor weights,
      Tensor dhidden,
      Tensor dweights) {
    launch(
        "moe_linear_distillation",
        Structs.tokenLosses(tokens),
        Structs.teacher(teacher),
        hidden,
        weights,
        dhidden,
        dweights);
  }

  @Override
  default void adamwStep(
      AdamW config,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      Tensor copy) {
    launch(
        "moe_adamw_step",
        Structs.adamw(config),
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        copy);
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch("moe_square_sum", x, sum);
  }

  @Override
  default void sample(Sampling sampling, Tensor logits) {
    launch("moe_sample", Structs.sampling(sampling), logits);
  }
}
