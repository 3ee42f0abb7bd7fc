package panamoe.lab.conformance;

import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import panamoe.lab.conformance.deepspeed.AutoEpCases;
import panamoe.lab.conformance.deepspeed.GatingCases;
import panamoe.lab.conformance.deepspeed.LayerCases;
import panamoe.lab.conformance.llamacpp.BlockFormatCases;
import panamoe.lab.conformance.llamacpp.GgufCases;
import panamoe.lab.conformance.megablocks.MegaBlocksCases;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.torch.ActivationCases;
import panamoe.lab.conformance.torch.LossCases;
import panamoe.lab.conformance.torch.OptimizerCases;
import panamoe.lab.conformance.torch.TorchCases;
import panamoe.lab.conformance.transformers.AttentionCases;
import panamoe.lab.conformance.transformers.BlockCases;
import panamoe.lab.conformance.transformers.ModelCases;
import panamoe.lab.conformance.transformers.RotaryCases;
import panamoe.lab.conformance.transformers.RouterCases;
import panamoe.lab.conformance.transformers.SamplingCases;
import panamoe.lab.conformance.transformers.SwitchCases;
import panamoe.lab.conformance.transformers.TrainingCases;
import panamoe.lab.conformance.tutel.RoutingCases;
import panamoe.lab.conformance.tutel.TutelLayerCases;

/** Selects the code that replays a recorded case from its metadata. */
final class CaseKinds {
  /** Functions, and layers with special rules, by {@code op}. */
  static final Map<String, Consumer<Replay>> BY_OP =
      Map.ofEntries(
          Map.entry("deepspeed._capacity", GatingCases::capacityTable),
          Map.entry("deepspeed.top1gating", GatingCases::top1),
          Map.entry("deepspeed.top2gating", GatingCases::top2),
          Map.entry("deepspeed.topkgating", GatingCases::topK),
          Map.entry("deepspeed.MoE", LayerCases::layer),
          Map.entry("deepspeed.MoE.expert_parallel", LayerCases::expertParallel),
          Map.entry("deepspeed.TokenChoiceTopKRouter", AutoEpCases::router),
          Map.entry("deepspeed.GroupedExperts", AutoEpCases::groupedExperts),
          Map.entry("hf.switch_router_losses", SwitchCases::losses),
          Map.entry("hf.NllbMoeTop2Router.route_tokens", RouterCases::nllbTop2),
          Map.entry("hf.load_balancing_loss_func", RouterCases::loadBalancingLoss),
          Map.entry("megablocks.MoE", MegaBlocksCases::layer),
          Map.entry("megablocks.dMoE", MegaBlocksCases::layer),
          Map.entry("tutel.extract_critical", RoutingCases::extractCritical),
          Map.entry("tutel.moe_layer", TutelLayerCases::layer),
          Map.entry("hf.rope_table", RotaryCases::table),
          Map.entry("hf.rope_interleaved", RotaryCases::adjacentPairs),
          Map.entry("hf.causal_attention", AttentionCases::causal),
          Map.entry("hf.logits_processors", SamplingCases::processors),
          Map.entry("linear", TorchCases::linear),
          Map.entry("layer_norm", TorchCases::layerNorm),
          Map.entry("rms_norm", TorchCases::rmsNorm),
          Map.entry("embedding", TorchCases::embedding),
          Map.entry("swiglu_ffn", TorchCases::swigluMlp),
          Map.entry("softmax", TorchCases::softmax),
          Map.entry("topk", TorchCases::topK),
          Map.entry("cast", TorchCases::cast),
          Map.entry("relu", ActivationCases::kernel),
          Map.entry("gelu_erf", ActivationCases::kernel),
          Map.entry("gelu_tanh", ActivationCases::kernel),
          Map.entry("silu", ActivationCases::kernel),
          Map.entry("quick_gelu", ActivationCases::quickGelu),
          Map.entry("sigmoid", ActivationCases::sigmoid),
          Map.entry("tanh", ActivationCases::tanh),
          Map.entry("softplus", ActivationCases::softplus),
          Map.entry("cross_entropy", LossCases::crossEntropy),
          Map.entry("kd_loss", LossCases::distillation),
          Map.entry("megatron_deepspeed.calculate_mos_loss", LossCases::mixtureOfStudents),
          Map.entry("adamw", OptimizerCases::adamW));

  private CaseKinds() {}

  /** The replay of a case; empty if its kind is unknown. */
  static Optional<Consumer<Replay>> of(GoldenFile golden) {
    Consumer<Replay> named = BY_OP.get(golden.kind());
    return named != null ? Optional.of(named) : Optional.ofNullable(ofAnyName(golden));
  }

  /**
   * Models, MoE blocks and quantized formats are recognised by their settings, so a new name needs
   * no entry here.
   */
  private static Consumer<Replay> ofAnyName(GoldenFile golden) {
    if (golden.isOfModel()) {
      return golden.states("optimizer") ? TrainingCases::steps : ModelCases::whole;
    } else if (golden.states("files")) {
      return golden.states("cases") ? GgufCases::texts : GgufCases::model;
    } else if (golden.states("block_elements")) {
      return BlockFormatCases::decoded;
    } else if (golden.states("same_inputs_as")) {
      return BlockCases::second;
    } else if (golden.optionalHyper("experts").isInt()) {
      boolean drops = golden.optionalHyper("expert_capacity").isInt();
      return drops ? SwitchCases::layer : BlockCases::block;
    }
    return null;
  }
}
