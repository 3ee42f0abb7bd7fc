package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import panamoe.backend.Activation;
import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionKernels;
import panamoe.backend.AttentionSettings;
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
import panamoe.backend.Routes;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/**
 * Every kernel as a call of its C function. The arguments are checked there, null tensors included.
 */
interface NativeKernels
    extends ElementwiseKernels,
        EmbeddingKernels,
        NormKernels,
        AttentionKernels,
        GemmKernels,
        GateKernels,
        DispatchKernels,
        ExpertKernels,
        CombineKernels,
        LossKernels,
        OptimizerKernels {

  /**
   * Makes the call of {@code function} with the descriptors of the tensors, a null pointer for a
   * null tensor.
   */
  default void launch(String function, Downcall call, Tensor... tensors) {
    launch(function, 0, call, tensors);
  }

  /** As above, where the call passes the first {@code inStructs} tensors inside structs. */
  void launch(String function, int inStructs, Downcall call, Tensor... tensors);

  /** The settings as a {@code moe_gate_config} that lives as long as this backend. */
  MemorySegment config(GateSettings settings);

  // Elementwise

  @Override
  default void fill(float value, Tensor y) {
    launch(
        "moe_fill", (stream, t, h) -> Moe.moe_fill(stream, value, t[0], h[0], h[1], h[2], h[3]), y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch(
        "moe_cast",
        (stream, t, h) -> Moe.moe_cast(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch(
        "moe_memory_copy",
        (stream, t, h) -> Moe.moe_memory_copy(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch(
        "moe_add",
        (stream, t, h) ->
            Moe.moe_add(stream, alpha, t[0], beta, t[1], t[2], h[0], h[1], h[2], h[3]),
        a,
        b,
        y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_clamp_forward",
        (stream, t, h) -> Moe.moe_clamp_forward(stream, bound, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_clamp_backward",
        (stream, t, h) ->
            Moe.moe_clamp_backward(stream, bound, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        x,
        dy,
        dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    int code = activation.code();
    launch(
        "moe_activation_forward",
        (stream, t, h) ->
            Moe.moe_activation_forward(stream, code, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    int code = activation.code();
    launch(
        "moe_activation_backward",
        (stream, t, h) ->
            Moe.moe_activation_backward(stream, code, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        x,
        dy,
        dx);
  }

  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch(
        "moe_random_uniform",
        (stream, t, h) ->
            Moe.moe_random_uniform(stream, seed, offset, t[0], h[0], h[1], h[2], h[3]),
        y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch(
        "moe_random_normal",
        (stream, t, h) ->
            Moe.moe_random_normal(
                stream, seed, offset, mean, deviation, t[0], h[0], h[1], h[2], h[3]),
        y);
  }

  // Embedding

  @Override
  default void embeddingForward(
      Tensor ids, Tensor table, Tensor positions, Tensor positionTable, Tensor y) {
    launch(
        "moe_embedding_forward",
        (stream, t, h) ->
            Moe.moe_embedding_forward(stream, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
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
        (stream, t, h) ->
            Moe.moe_embedding_backward(
                stream, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        ids,
        positions,
        dy,
        dtable,
        dpositionTable);
  }

  // Norm

  @Override
  default void layerNormForward(
      Tensor x, Tensor gamma, Tensor beta, float epsilon, Tensor y, Tensor mean, Tensor rstd) {
    launch(
        "moe_layer_norm_forward",
        (stream, t, h) ->
            Moe.moe_layer_norm_forward(
                stream, t[0], t[1], t[2], epsilon, t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        x,
        gamma,
        beta,
        y,
        mean,
        rstd);
  }

  @Override
  default void layerNormBackward(
      Tensor dy,
      Tensor x,
      Tensor gamma,
      Tensor mean,
      Tensor rstd,
      Tensor dx,
      Tensor dgamma,
      Tensor dbeta) {
    launch(
        "moe_layer_norm_backward",
        (stream, t, h) ->
            Moe.moe_layer_norm_backward(
                stream, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], h[0], h[1], h[2], h[3]),
        dy,
        x,
        gamma,
        mean,
        rstd,
        dx,
        dgamma,
        dbeta);
  }

  @Override
  default void rmsNormForward(Tensor x, Tensor gamma, float epsilon, Tensor y, Tensor rstd) {
    launch(
        "moe_rms_norm_forward",
        (stream, t, h) ->
            Moe.moe_rms_norm_forward(
                stream, t[0], t[1], epsilon, t[2], t[3], h[0], h[1], h[2], h[3]),
        x,
        gamma,
        y,
        rstd);
  }

  @Override
  default void rmsNormBackward(
      Tensor dy, Tensor x, Tensor gamma, Tensor rstd, Tensor dx, Tensor dgamma) {
    launch(
        "moe_rms_norm_backward",
        (stream, t, h) ->
            Moe.moe_rms_norm_backward(
                stream, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        dy,
        x,
        gamma,
        rstd,
        dx,
        dgamma);
  }

  // Attention

  @Override
  default void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean interleaved,
      int direction,
      Tensor y) {
    int paired = flag(interleaved);
    launch(
        "moe_rotary",
        3,
        (stream, t, h) ->
            Moe.moe_rotary(
                stream,
                t[3],
                AttentionStructs.angles(paired, t, 0),
                direction,
                t[4],
                h[0],
                h[1],
                h[2],
                h[3]),
        positions,
        cosine,
        sine,
        x,
        y);
  }

  @Override
  default void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp) {
    launch(
        "moe_attention_forward",
        4,
        (stream, t, h) ->
            Moe.moe_attention_forward(
                stream,
                AttentionStructs.config(settings),
                AttentionStructs.inputs(t, 0),
                t[4],
                t[5],
                h[0],
                h[1],
                h[2],
                h[3]),
        inputs.q(),
        inputs.k(),
        inputs.v(),
        inputs.sinks(),
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
        8,
        (stream, t, h) ->
            Moe.moe_attention_backward(
                stream,
                AttentionStructs.config(settings),
                AttentionStructs.inputs(t, 0),
                t[8],
                t[9],
                t[10],
                AttentionStructs.gradients(t, 4),
                h[0],
                h[1],
                h[2],
                h[3]),
        inputs.q(),
        inputs.k(),
        inputs.v(),
        inputs.sinks(),
        gradients.dq(),
        gradients.dk(),
        gradients.dv(),
        gradients.dsinks(),
        out,
        logsumexp,
        dout);
  }

  @Override
  default void cacheAppend(Tensor k, Tensor v, CachePlaces places) {
    launch(
        "moe_cache_append",
        4,
        (stream, t, h) ->
            Moe.moe_cache_append(
                stream, t[4], t[5], AttentionStructs.places(t, 0), h[0], h[1], h[2], h[3]),
        places.keys(),
        places.values(),
        places.slot(),
        places.position(),
        k,
        v);
  }

  @Override
  default void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out) {
    launch(
        "moe_attention_decode",
        4,
        (stream, t, h) ->
            Moe.moe_attention_decode(
                stream,
                AttentionStructs.config(settings),
                t[4],
                t[5],
                AttentionStructs.places(t, 0),
                t[6],
                h[0],
                h[1],
                h[2],
                h[3]),
        places.keys(),
        places.values(),
        places.slot(),
        places.position(),
        q,
        sinks,
        out);
  }

  // GEMM

  @Override
  default void gemm(
      boolean transposeA,
      boolean transposeB,
      Activation activation,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor bias,
      Tensor c,
      Tensor preactivation) {
    int flipA = flag(transposeA);
    int flipB = flag(transposeB);
    int code = activation.code();
    int adding = flag(accumulate);
    launch(
        "moe_gemm",
        (stream, t, h) ->
            Moe.moe_gemm(
                stream, flipA, flipB, code, adding, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2],
                h[3]),
        a,
        b,
        bias,
        c,
        preactivation);
  }

  @Override
  default void columnSum(Tensor x, Tensor y) {
    launch(
        "moe_column_sum",
        (stream, t, h) -> Moe.moe_column_sum(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void pack(Tensor weights, Tensor packed) {
    launch(
        "moe_gemm_pack",
        (stream, t, h) -> Moe.moe_gemm_pack(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        weights,
        packed);
  }

  // Gate, dispatch, expert, combine

  @Override
  default void gateForward(
      GateSettings settings,
      Tensor logits,
      Tensor used,
      Tensor bias,
      Tensor noise,
      Tensor priority,
      Routes routes) {
    MemorySegment config = config(settings);
    launch(
        "moe_gate_forward",
        (stream, t, h) ->
            Moe.moe_gate_forward(
                stream, config, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10],
                t[11], t[12], h[0], h[1], h[2], h[3]),
        logits,
        used,
        bias,
        noise,
        priority,
        routes.scores(),
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.choice(),
        routes.counts(),
        routes.offsets(),
        routes.losses());
  }

  @Override
  default void gateBackward(
      GateSettings settings,
      Tensor logits,
      Tensor used,
      Routes routes,
      Tensor dweight,
      float dauxiliary,
      float dz,
      Tensor dlogits) {
    MemorySegment config = config(settings);
    launch(
        "moe_gate_backward",
        (stream, t, h) ->
            Moe.moe_gate_backward(
                stream,
                config,
                t[0],
                t[1],
                t[2],
                t[3],
                t[4],
                t[5],
                dauxiliary,
                dz,
                t[6],
                h[0],
                h[1],
                h[2],
                h[3]),
        logits,
        used,
        routes.scores(),
        routes.expert(),
        routes.choice(),
        dweight,
        dlogits);
  }

  @Override
  default void dispatchForward(Tensor x, Routes routes, Tensor rows) {
    launch(
        "moe_dispatch_forward",
        (stream, t, h) ->
            Moe.moe_dispatch_forward(stream, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        x,
        routes.expert(),
        routes.position(),
        routes.offsets(),
        rows);
  }

  @Override
  default void dispatchBackward(Tensor drows, Routes routes, Tensor dx) {
    launch(
        "moe_dispatch_backward",
        (stream, t, h) ->
            Moe.moe_dispatch_backward(stream, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        drows,
        routes.expert(),
        routes.position(),
        routes.offsets(),
        dx);
  }

  @Override
  default void expertForward(
      Activation activation,
      Tensor x,
      Tensor offsets,
      Tensor weights,
      Tensor bias,
      Tensor y,
      Tensor preactivation) {
    int code = activation.code();
    launch(
        "moe_expert_forward",
        (stream, t, h) ->
            Moe.moe_expert_forward(
                stream, code, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        x,
        offsets,
        weights,
        bias,
        y,
        preactivation);
  }

  @Override
  default void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
    launch(
        "moe_expert_backward_input",
        (stream, t, h) ->
            Moe.moe_expert_backward_input(stream, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        dy,
        offsets,
        weights,
        dx);
  }

  @Override
  default void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias) {
    int adding = flag(accumulate);
    launch(
        "moe_expert_backward_weights",
        (stream, t, h) ->
            Moe.moe_expert_backward_weights(
                stream, adding, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        dy,
        x,
        offsets,
        dweights,
        dbias);
  }

  @Override
  default void combineForward(
      Tensor rows, Routes routes, Tensor mlp, Tensor coefficient, Tensor skip, Tensor y) {
    launch(
        "moe_combine_forward",
        (stream, t, h) ->
            Moe.moe_combine_forward(
                stream, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], h[0], h[1], h[2],
                h[3]),
        rows,
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.offsets(),
        mlp,
        coefficient,
        skip,
        y);
  }

  @Override
  default void combineBackward(
      Tensor dy,
      Tensor rows,
      Routes routes,
      Tensor mlp,
      Tensor coefficient,
      Tensor drows,
      Tensor dweight,
      Tensor dmlp,
      Tensor dcoefficient) {
    launch(
        "moe_combine_backward",
        (stream, t, h) ->
            Moe.moe_combine_backward(
                stream, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11],
                h[0], h[1], h[2], h[3]),
        dy,
        rows,
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.offsets(),
        mlp,
        coefficient,
        drows,
        dweight,
        dmlp,
        dcoefficient);
  }

  // Loss, optimizer

  @Override
  default void crossEntropy(
      Tensor logits,
      Tensor targets,
      float labelSmoothing,
      float dloss,
      Tensor losses,
      Tensor dlogits) {
    launch(
        "moe_cross_entropy",
        (stream, t, h) ->
            Moe.moe_cross_entropy(
                stream, t[0], t[1], labelSmoothing, dloss, t[2], t[3], h[0], h[1], h[2], h[3]),
        logits,
        targets,
        losses,
        dlogits);
  }

  @Override
  default void linearCrossEntropy(
      Tensor hidden,
      Tensor weights,
      Tensor targets,
      float labelSmoothing,
      float dloss,
      Tensor losses,
      Tensor dhidden,
      Tensor dweights) {
    launch(
        "moe_linear_cross_entropy",
        (stream, t, h) ->
            Moe.moe_linear_cross_entropy(
                stream,
                t[0],
                t[1],
                t[2],
                labelSmoothing,
                dloss,
                t[3],
                t[4],
                t[5],
                h[0],
                h[1],
                h[2],
                h[3]),
        hidden,
        weights,
        targets,
        losses,
        dhidden,
        dweights);
  }

  @Override
  default void adamwStep(
      float learningRate,
      float beta1,
      float beta2,
      float epsilon,
      float weightDecay,
      long step,
      float gradientScale,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      Tensor copy) {
    launch(
        "moe_adamw_step",
        (stream, t, h) ->
            Moe.moe_adamw_step(
                stream,
                learningRate,
                beta1,
                beta2,
                epsilon,
                weightDecay,
                step,
                gradientScale,
                t[0],
                t[1],
                t[2],
                t[3],
                t[4],
                h[0],
                h[1],
                h[2],
                h[3]),
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        copy);
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch(
        "moe_square_sum",
        (stream, t, h) -> Moe.moe_square_sum(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        sum);
  }

  private static int flag(boolean value) {
    return value ? 1 : 0;
  }
}
