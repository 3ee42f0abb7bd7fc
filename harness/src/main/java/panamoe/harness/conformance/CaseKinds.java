package panamoe.harness.conformance;

import java.util.Map;
import panamoe.harness.conformance.deepspeed.AutoEpCases;
import panamoe.harness.conformance.deepspeed.ExpertParallelCases;
import panamoe.harness.conformance.deepspeed.GatingCases;
import panamoe.harness.conformance.deepspeed.LayerCases;
import panamoe.harness.conformance.megablocks.MegaBlocksCases;
import panamoe.harness.conformance.replay.CaseKind;
import panamoe.harness.conformance.torch.ActivationCases;
import panamoe.harness.conformance.torch.LossCases;
import panamoe.harness.conformance.torch.OptimizerCases;
import panamoe.harness.conformance.torch.TorchCases;
import panamoe.harness.conformance.transformers.AttentionCases;
import panamoe.harness.conformance.transformers.BlockCases;
import panamoe.harness.conformance.transformers.ModelCases;
import panamoe.harness.conformance.transformers.RotaryCases;
import panamoe.harness.conformance.transformers.RouterCases;
import panamoe.harness.conformance.transformers.SamplingCases;
import panamoe.harness.conformance.transformers.SwitchCases;
import panamoe.harness.conformance.tutel.RoutingCases;
import panamoe.harness.conformance.tutel.TutelLayerCases;

/** The kinds of cases that can be replayed, by {@code op} in the metadata. */
final class CaseKinds {
  static final Map<String, CaseKind> BY_OP =
      Map.ofEntries(
          Map.entry("deepspeed._capacity", GatingCases::capacityTable),
          Map.entry("deepspeed.top1gating", GatingCases::top1),
          Map.entry("deepspeed.top2gating", GatingCases::top2),
          Map.entry("deepspeed.topkgating", GatingCases::topK),
          Map.entry("deepspeed.MoE", LayerCases::layer),
          Map.entry("deepspeed.MoE.expert_parallel", ExpertParallelCases::layer),
          Map.entry("deepspeed.TokenChoiceTopKRouter", AutoEpCases::router),
          Map.entry("deepspeed.GroupedExperts", AutoEpCases::groupedExperts),
          Map.entry("hf.MixtralForCausalLM", ModelCases::decoder),
          Map.entry("hf.Qwen2MoeForCausalLM", ModelCases::decoder),
          Map.entry("hf.Qwen3MoeForCausalLM", ModelCases::decoder),
          Map.entry("hf.OlmoeForCausalLM", ModelCases::decoder),
          Map.entry("hf.GptOssForCausalLM", ModelCases::decoder),
          Map.entry("hf.DeepseekV2ForCausalLM", ModelCases::decoder),
          Map.entry("hf.DeepseekV3ForCausalLM", ModelCases::decoder),
          Map.entry("inference.model.Transformer", ModelCases::decoder),
          Map.entry("gpt_oss.torch.model.Transformer", ModelCases::decoder),
          Map.entry("hf.module.MixtralSparseMoeBlock", BlockCases::mixtral),
          Map.entry("mistral_inference.moe.MoeLayer", BlockCases::secondMixtral),
          Map.entry("hf.module.Qwen2MoeSparseMoeBlock", BlockCases::qwen2),
          Map.entry("hf.module.Qwen3MoeSparseMoeBlock", BlockCases::qwen3),
          Map.entry("hf.module.DeepseekV2MoE", BlockCases::deepSeekV2),
          Map.entry("hf.module.DeepseekV3MoE", BlockCases::deepSeekV3),
          Map.entry("hf.module.GptOssMLP", BlockCases::gptOss),
          Map.entry("hf.module.SwitchTransformersSparseMLP", SwitchCases::layer),
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
          Map.entry("relu", ActivationCases::relu),
          Map.entry("gelu_erf", ActivationCases::gelu),
          Map.entry("gelu_tanh", ActivationCases::geluTanh),
          Map.entry("silu", ActivationCases::silu),
          Map.entry("quick_gelu", ActivationCases::quickGelu),
          Map.entry("sigmoid", ActivationCases::sigmoid),
          Map.entry("tanh", ActivationCases::tanh),
          Map.entry("softplus", ActivationCases::softplus),
          Map.entry("cross_entropy", LossCases::crossEntropy),
          Map.entry("kd_loss", LossCases::distillation),
          Map.entry("megatron_deepspeed.calculate_mos_loss", LossCases::mixtureOfStudents),
          Map.entry("adamw", OptimizerCases::adamW));

  private CaseKinds() {}
}
