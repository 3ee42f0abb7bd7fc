package panamoe.backend.abi;

import panamoe.backend.Activation;
import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
import panamoe.backend.BalanceKernels;
import panamoe.backend.CachePlaces;
import panamoe.backend.CombineKernels;
import panamoe.backend.DispatchKernels;
import panamoe.backend.ElementwiseKernels;
import panamoe.backend.EmbeddingKernels;
import panamoe.backend.ExpertKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GemmKernels;
import panamoe.backend.LossKernels;
import panamoe.backend.NormKernels;
import panamoe.backend.OptimizerKernels;
import panamoe.backend.RelativeBias;
import panamoe.backend.Routes;
import panamoe.backend.SampleKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * Every kernel as a call of its C function. The arguments are checked there, null tensors included.
 */
interface NativeKernels
    extends NativeLaunch,
        ElementwiseKernels,
        EmbeddingKernels,
        NormKernels,
        AttentionKernels,
        GemmKernels,
        GateKernels,
        BalanceKernels,
        DispatchKernels,
        TensorDevice,
        ExpertKernels,
        CombineKernels,
        LossKernels,
        OptimizerKernels,
        SampleKernels {

  // Elementwise

  @Override
  default void fill(float value, Tensor y) {
    launch("moe_fill", (s, to, h0, h1, h2, h3) -> Moe.moe_fill(s, value, to, h0, h1, h2, h3), y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch("moe_cast", Moe::moe_cast, x, y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch("moe_memory_copy", Moe::moe_memory_copy, x, y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch(
        "moe_add",
        (s, first, second, sum, h0, h1, h2, h3) ->
            Moe.moe_add(s, alpha, first, beta, second, sum, h0, h1, h2, h3),
        a,
        b,
        y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_clamp_forward",
        (s, from, to, h0, h1, h2, h3) -> Moe.moe_clamp_forward(s, bound, from, to, h0, h1, h2, h3),
        x,
        y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_clamp_backward",
        (s, from, upstream, to, h0, h1, h2, h3) ->
            Moe.moe_clamp_backward(s, bound, from, upstream, to, h0, h1, h2, h3),
        x,
        dy,
        dx);
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_exp_forward",
        (s, from, to, h0, h1, h2, h3) -> Moe.moe_exp_forward(s, bound, from, to, h0, h1, h2, h3),
        x,
        y);
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_exp_backward",
        (s, from, upstream, to, h0, h1, h2, h3) ->
            Moe.moe_exp_backward(s, bound, from, upstream, to, h0, h1, h2, h3),
        x,
        dy,
        dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch(
        "moe_activation_forward",
        Moe::moe_activation_forward,
        ActivationConfigs.of(activation),
        x,
        y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_activation_backward",
        Moe::moe_activation_backward,
        ActivationConfigs.of(activation),
        x,
        dy,
        dx);
  }

  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch(
        "moe_random_uniform",
        (s, to, h0, h1, h2, h3) -> Moe.moe_random_uniform(s, seed, offset, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch(
        "moe_random_normal",
        (s, to, h0, h1, h2, h3) ->
            Moe.moe_random_normal(s, seed, offset, mean, deviation, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch(
        "moe_random_gumbel",
        (s, to, h0, h1, h2, h3) -> Moe.moe_random_gumbel(s, seed, offset, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch(
        "moe_jitter",
        (s, from, to, h0, h1, h2, h3) ->
            Moe.moe_jitter(s, seed, offset, epsilon, from, to, h0, h1, h2, h3),
        x,
        y);
  }

  // Embedding

  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch(
        "moe_embedding_forward",
        Moe::moe_embedding_forward,
        ids,
        table,
        positions,
        positionTable,
        y);
  }

  @Override
  default void embeddingBackward(
      Tensor ids, Tensor positions, Tensor dy, Tensor dtable, Tensor dpositionTable) {
    launch(
        "moe_embedding_backward",
        Moe::moe_embedding_backward,
        ids,
        positions,
        dy,
        dtable,
        dpositionTable);
  }

  // Norm

  @Override
  default void layerNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_layer_norm_forward", Moe::moe_layer_norm_forward, Structs.norm(norm), x, y);
  }

  @Override
  default void layerNormBackward(
      Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    launch(
        "moe_layer_norm_backward",
        Moe::moe_layer_norm_backward,
        Structs.norm(norm),
        x,
        dy,
        dx,
        dgamma,
        dbeta);
  }

  @Override
  default void rmsNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_rms_norm_forward", Moe::moe_rms_norm_forward, Structs.norm(norm), x, y);
  }

  @Override
  default void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    launch(
        "moe_rms_norm_backward", Moe::moe_rms_norm_backward, Structs.norm(norm), x, dy, dx, dgamma);
  }

  // Attention

  @Override
  default void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean adjacent,
      int direction,
      Tensor y) {
    launch(
        "moe_rotary",
        (s, from, angles, to, h0, h1, h2, h3) ->
            Moe.moe_rotary(s, from, angles, direction, to, h0, h1, h2, h3),
        x,
        Structs.rotaryAngles(adjacent, positions, cosine, sine),
        y);
  }

  @Override
  default void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y) {
    launch(
        "moe_head_copy", Moe::moe_head_copy, Structs.headColumns(transpose, from, to, count), x, y);
  }

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        "moe_attention_forward",
        Moe::moe_attention_forward,
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
        Moe::moe_attention_backward,
        Structs.attention(settings),
        Structs.attentionInputs(inputs),
        out,
        logsumexp,
        dout,
        Structs.attentionGradients(gradients));
  }

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch("moe_cache_append", Moe::moe_cache_append, k, v, Structs.cachePlaces(places));
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_decode",
        Moe::moe_attention_decode,
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
        Moe::moe_attention_biased,
        Structs.attention(settings),
        Structs.relativeBias(bias),
        q,
        Structs.cachePlaces(places),
        out);
  }

  // GEMM

  @Override
  default void gemm(
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c,
      GemmKernels.Epilogue epilogue) {
    launch(
        "moe_gemm",
        Moe::moe_gemm,
        Structs.gemm(transposeA, transposeB, accumulate),
        a,
        b,
        c,
        Structs.epilogue(epilogue));
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch("moe_column_sum", Moe::moe_column_sum, x, y);
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch("moe_gemm_pack", Moe::moe_gemm_pack, weights, packed);
  }

  // Gate, balance, dispatch, expert, combine

  @Override
  default void gateForward(GateSettings settings, GateKernels.Inputs inputs, Routes routes) {
    launch(
        "moe_gate_forward",
        Moe::moe_gate_forward,
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes));
  }

  @Override
  default void gateBackward(
      GateSettings settings,
      GateKernels.Inputs inputs,
      Routes routes,
      Tensor dweight,
      float dauxiliary,
      float dz,
      Tensor dlogits) {
    launch(
        "moe_gate_backward",
        Moe::moe_gate_backward,
        Structs.gate(settings),
        Structs.gateInputs(inputs),
        Structs.routes(routes),
        Structs.gateGradients(dauxiliary, dz, dweight, dlogits));
  }

  @Override
  default void balanceForward(Balance balance, Tensor scores, Tensor choice, Sums sums) {
    launch(
        "moe_balance_forward",
        Moe::moe_balance_forward,
        Structs.balance(balance),
        scores,
        choice,
        Structs.balanceSums(sums));
  }

  @Override
  default void balanceLoss(Balance balance, Sums sums, long sequences, Tensor loss) {
    launch(
        "moe_balance_loss",
        (s, config, table, to, h0, h1, h2, h3) ->
            Moe.moe_balance_loss(s, config, table, sequences, to, h0, h1, h2, h3),
        Structs.balance(balance),
        Structs.balanceSums(sums),
        loss);
  }

  @Override
  default void balanceBackward(
      Balance balance, double dloss, Tensor scores, Sums sums, Tensor dlogits) {
    launch(
        "moe_balance_backward",
        (s, config, from, table, to, h0, h1, h2, h3) ->
            Moe.moe_balance_backward(s, config, dloss, from, table, to, h0, h1, h2, h3),
        Structs.balance(balance),
        scores,
        Structs.balanceSums(sums),
        dlogits);
  }

  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch("moe_dispatch_forward", Moe::moe_dispatch_forward, x, Structs.routes(routes), rows);
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch("moe_dispatch_backward", Moe::moe_dispatch_backward, drows, Structs.routes(routes), dx);
  }

  @Override
  default void copyBlocks(RowBlocks blocks, Tensor x, Tensor y) {
    int count = blocks.rows().length;
    for (int first = 0; first == 0 || first < count; first += Moe.MOE_MAX_BLOCKS()) {
      Struct some = Structs.blocks(blocks, first, Math.min(count - first, Moe.MOE_MAX_BLOCKS()));
      launch("moe_block_copy", Moe::moe_block_copy, some, x, y);
    }
  }

  @Override
  default void expertForward(
      Tensor x, Tensor offsets, Tensor weights, Tensor y, GemmKernels.Epilogue epilogue) {
    launch(
        "moe_expert_forward",
        Moe::moe_expert_forward,
        x,
        offsets,
        weights,
        y,
        Structs.epilogue(epilogue));
  }

  @Override
  default void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
    launch("moe_expert_backward_input", Moe::moe_expert_backward_input, dy, offsets, weights, dx);
  }

  @Override
  default void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias) {
    int adding = flag(accumulate);
    launch(
        "moe_expert_backward_weights",
        (s, upstream, in, groups, out, sums, h0, h1, h2, h3) ->
            Moe.moe_expert_backward_weights(
                s, adding, upstream, in, groups, out, sums, h0, h1, h2, h3),
        dy,
        x,
        offsets,
        dweights,
        dbias);
  }

  @Override
  default void combineForward(CombineKernels.Inputs inputs, Routes routes, Tensor y) {
    launch(
        "moe_combine_forward",
        Moe::moe_combine_forward,
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        y);
  }

  @Override
  default void combineBackward(
      Tensor dy, CombineKernels.Inputs inputs, Routes routes, CombineKernels.Gradients gradients) {
    launch(
        "moe_combine_backward",
        Moe::moe_combine_backward,
        dy,
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        Structs.combineGradients(gradients));
  }

  // Loss, optimizer

  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    launch(
        "moe_cross_entropy", Moe::moe_cross_entropy, Structs.tokenLosses(tokens), logits, dlogits);
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    launch(
        "moe_linear_cross_entropy",
        Moe::moe_linear_cross_entropy,
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
        Moe::moe_linear_distillation,
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
        Moe::moe_adamw_step,
        Structs.adamw(config),
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        copy);
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch("moe_square_sum", Moe::moe_square_sum, x, sum);
  }

  // Sampling

  @Override
  default void sample(Sampling sampling, Tensor logits) {
    launch("moe_sample", Moe::moe_sample, Structs.sampling(sampling), logits);
  }

  private static int flag(boolean value) {
    return value ? 1 : 0;
  }
}
