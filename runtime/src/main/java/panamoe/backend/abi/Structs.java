package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.CachePlaces;
import panamoe.backend.CombineKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GemmKernels.Epilogue;
import panamoe.backend.LossKernels.Teacher;
import panamoe.backend.LossKernels.Tokens;
import panamoe.backend.NormKernels.Norm;
import panamoe.backend.OptimizerKernels.AdamW;
import panamoe.backend.RelativeBias;
import panamoe.backend.Routes;
import panamoe.backend.SampleKernels.Sampling;
import panamoe.bindings.moe_adamw_config;
import panamoe.bindings.moe_attention_config;
import panamoe.bindings.moe_attention_gradients;
import panamoe.bindings.moe_attention_inputs;
import panamoe.bindings.moe_balance_config;
import panamoe.bindings.moe_balance_sums;
import panamoe.bindings.moe_blocks;
import panamoe.bindings.moe_cache_places;
import panamoe.bindings.moe_combine_gradients;
import panamoe.bindings.moe_combine_inputs;
import panamoe.bindings.moe_epilogue;
import panamoe.bindings.moe_gate_config;
import panamoe.bindings.moe_gate_gradients;
import panamoe.bindings.moe_gate_inputs;
import panamoe.bindings.moe_gemm_config;
import panamoe.bindings.moe_head_columns;
import panamoe.bindings.moe_norm;
import panamoe.bindings.moe_relative_bias;
import panamoe.bindings.moe_rotary_angles;
import panamoe.bindings.moe_routes;
import panamoe.bindings.moe_sampling;
import panamoe.bindings.moe_teacher;
import panamoe.bindings.moe_token_losses;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;

/** The structs that kernel calls take, one method each; tensors in the order of the C struct. */
final class Structs {
  private Structs() {}

  static Struct gemm(boolean transposeA, boolean transposeB, boolean accumulate) {
    return new Struct(
        moe_gemm_config.sizeof(),
        to -> {
          moe_gemm_config.transpose_a(to, transposeA ? 1 : 0);
          moe_gemm_config.transpose_b(to, transposeB ? 1 : 0);
          moe_gemm_config.accumulate(to, accumulate ? 1 : 0);
        });
  }

  /** Null if there is nothing to do. */
  static Struct epilogue(Epilogue epilogue) {
    if (epilogue.isNone()) {
      return null;
    }
    MemorySegment activation = ActivationConfigs.of(epilogue.activation());
    return new Struct(
        moe_epilogue.sizeof(),
        to -> moe_epilogue.activation(to, activation),
        epilogue.bias(),
        epilogue.preactivation(),
        epilogue.addend());
  }

  static Struct gate(GateSettings settings) {
    return new Struct(
        moe_gate_config.sizeof(),
        to -> {
          moe_gate_config.top_k(to, settings.topK());
          // The enums of GateSettings have the order of those of moe/gate.h.
          moe_gate_config.score(to, settings.score().ordinal());
          moe_gate_config.drop_policy(to, settings.queues().policy().ordinal());
          moe_gate_config.queue_order(to, settings.queues().order().ordinal());
          moe_gate_config.normalization(to, settings.weighting().normalization().ordinal());
          moe_gate_config.capacity(to, settings.queues().capacity());
          moe_gate_config.groups(to, settings.groups().count());
          moe_gate_config.chosen_groups(to, settings.groups().chosen());
          moe_gate_config.group_score(to, settings.groups().score().ordinal());
          moe_gate_config.auxiliary_choices(to, settings.auxiliaryChoices());
          moe_gate_config.noise_first_choice(to, settings.noiseFirstChoice());
          moe_gate_config.normalization_epsilon(to, settings.weighting().epsilon());
          moe_gate_config.weight_scale(to, settings.weighting().scale());
          moe_gate_config.denominator_offset(to, settings.weighting().offset());
        });
  }

  static Struct gateInputs(GateKernels.Inputs in) {
    return Struct.of(
        moe_gate_inputs.sizeof(), in.logits(), in.used(), in.bias(), in.noise(), in.priority());
  }

  static Struct gateGradients(GateKernels.LossGradients losses, Tensor dweight, Tensor dlogits) {
    Sums batch = losses.batch();
    return new Struct(
        moe_gate_gradients.sizeof(),
        to -> {
          moe_gate_gradients.dauxiliary(to, losses.dauxiliary());
          moe_gate_gradients.dz(to, losses.dz());
        },
        dweight,
        dlogits,
        batch == null ? null : batch.used(),
        batch == null ? null : batch.chosen());
  }

  static Struct balance(Balance balance) {
    return new Struct(
        moe_balance_config.sizeof(),
        to -> {
          moe_balance_config.score(to, balance.score().ordinal()); // in the order of moe_score
          moe_balance_config.auxiliary_choices(to, balance.choices());
          moe_balance_config.normalized(to, balance.normalized() ? 1 : 0);
        });
  }

  static Struct balanceSums(Sums sums) {
    return Struct.of(
        moe_balance_sums.sizeof(), sums.used(), sums.chosen(), sums.scores(), sums.entropy());
  }

  static Struct routes(Routes routes) {
    return Struct.of(
        moe_routes.sizeof(),
        routes.scores(),
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.choice(),
        routes.counts(),
        routes.offsets(),
        routes.losses());
  }

  static Struct blocks(RowBlocks blocks, int first, int count) {
    return new Struct(
        moe_blocks.sizeof(),
        to -> {
          moe_blocks.count(to, count);
          copy(blocks.from(), first, count, moe_blocks.from(to));
          copy(blocks.to(), first, count, moe_blocks.to(to));
          copy(blocks.rows(), first, count, moe_blocks.rows(to));
        });
  }

  private static void copy(long[] numbers, int first, int count, MemorySegment to) {
    MemorySegment.copy(numbers, first, to, ValueLayout.JAVA_LONG, 0, count);
  }

  static Struct combineInputs(CombineKernels.Inputs in) {
    return Struct.of(moe_combine_inputs.sizeof(), in.rows(), in.mlp(), in.coefficient(), in.skip());
  }

  static Struct combineGradients(CombineKernels.Gradients out) {
    return Struct.of(
        moe_combine_gradients.sizeof(), out.drows(), out.dweight(), out.dmlp(), out.dcoefficient());
  }

  static Struct rotaryAngles(boolean adjacent, Tensor positions, Tensor cosine, Tensor sine) {
    return new Struct(
        moe_rotary_angles.sizeof(),
        to -> moe_rotary_angles.interleaved(to, adjacent ? 1 : 0),
        positions,
        cosine,
        sine);
  }

  static Struct headColumns(boolean transpose, long from, long to, long count) {
    return new Struct(
        moe_head_columns.sizeof(),
        columns -> {
          moe_head_columns.transpose(columns, transpose ? 1 : 0);
          moe_head_columns.from(columns, from);
          moe_head_columns.to(columns, to);
          moe_head_columns.count(columns, count);
        });
  }

  static Struct attention(AttentionSettings settings) {
    return new Struct(
        moe_attention_config.sizeof(),
        to -> {
          moe_attention_config.mask(to, settings.mask().ordinal()); // in the order of moe_mask
          moe_attention_config.scale(to, settings.scale());
          moe_attention_config.soft_cap(to, settings.softCap());
          moe_attention_config.window(to, settings.window());
        });
  }

  static Struct attentionInputs(AttentionInputs in) {
    return Struct.of(moe_attention_inputs.sizeof(), in.q(), in.k(), in.v(), in.sinks());
  }

  static Struct attentionGradients(AttentionGradients out) {
    return Struct.of(moe_attention_gradients.sizeof(), out.dq(), out.dk(), out.dv(), out.dsinks());
  }

  static Struct cachePlaces(CachePlaces places) {
    return Struct.of(
        moe_cache_places.sizeof(),
        places.keys(),
        places.values(),
        places.keyScales(),
        places.valueScales(),
        places.table(),
        places.slot(),
        places.position());
  }

  static Struct relativeBias(RelativeBias bias) {
    return Struct.of(moe_relative_bias.sizeof(), bias.bias(), bias.position());
  }

  static Struct norm(Norm norm) {
    return new Struct(
        moe_norm.sizeof(),
        to -> {
          moe_norm.epsilon(to, norm.epsilon());
          moe_norm.gamma_offset(to, norm.offset());
        },
        norm.gamma(),
        norm.beta(),
        norm.mean(),
        norm.rstd());
  }

  static Struct tokenLosses(Tokens tokens) {
    return new Struct(
        moe_token_losses.sizeof(),
        to -> {
          moe_token_losses.label_smoothing(to, tokens.labelSmoothing());
          moe_token_losses.dloss(to, tokens.dloss());
          moe_token_losses.logit_cap(to, tokens.logitCap());
        },
        tokens.targets(),
        tokens.losses());
  }

  static Struct teacher(Teacher teacher) {
    return new Struct(
        moe_teacher.sizeof(),
        to -> {
          moe_teacher.temperature(to, teacher.temperature());
          moe_teacher.weight(to, teacher.weight());
          moe_teacher.logit_cap(to, teacher.logitCap());
        },
        teacher.hidden(),
        teacher.weights(),
        teacher.divergences());
  }

  static Struct adamw(AdamW config) {
    return new Struct(
        moe_adamw_config.sizeof(),
        to -> {
          moe_adamw_config.learning_rate(to, config.learningRate());
          moe_adamw_config.beta1(to, config.beta1());
          moe_adamw_config.beta2(to, config.beta2());
          moe_adamw_config.epsilon(to, config.epsilon());
          moe_adamw_config.weight_decay(to, config.weightDecay());
          moe_adamw_config.gradient_scale(to, config.gradientScale());
          moe_adamw_config.step(to, config.step());
        });
  }

  static Struct sampling(Sampling sampling) {
    return Struct.of(
        moe_sampling.sizeof(),
        sampling.temperature(),
        sampling.minP(),
        sampling.topK(),
        sampling.topP(),
        sampling.uniform(),
        sampling.tokens());
  }
}
