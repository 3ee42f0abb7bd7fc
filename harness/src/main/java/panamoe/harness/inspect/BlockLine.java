package panamoe.harness.inspect;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.io.Count;
import panamoe.io.Words;

/** One line about a block. Usual properties, such as a causal mask, are left out. */
final class BlockLine {
  private BlockLine() {}

  static String of(BlockConfig block) {
    List<String> parts = new ArrayList<>();
    attention(block.attention(), parts);
    if (block.norms() != null && block.norms() != BlockConfig.Norms.BEFORE) {
      parts.add("norms " + lower(block.norms()));
    }
    if (block.outputScale() != null) {
      parts.add("outputs times " + block.outputScale());
    }
    if (block.hasScale()) {
      parts.add("times a stored number");
    }
    switch (block.feedForward()) {
      case DenseConfig dense -> parts.add("MLP " + dense.inner());
      case MoeConfig moe -> experts(moe, parts);
    }
    return String.join(", ", parts);
  }

  private static void attention(AttentionConfig attention, List<String> parts) {
    switch (attention) {
      case GroupedQueryConfig grouped -> grouped(grouped, parts);
      case LatentAttentionConfig latent -> latent(latent, parts);
    }
  }

  private static void grouped(GroupedQueryConfig attention, List<String> parts) {
    GroupedQueryConfig.Heads heads = attention.heads();
    AttentionConfig.Scores scores = attention.scores();
    parts.add(
        Words.of(
            "%s of %s (%s key/value)",
            Count.of(heads.query(), "head"), heads.size(), heads.keyValue()));
    if (scores.mask() == Mask.FULL) {
      parts.add("full mask");
    }
    if (scores.window() > 0) {
      parts.add((scores.mask() == Mask.CHUNKED ? "chunks of " : "window ") + scores.window());
    }
    if (scores.sinks()) {
      parts.add("sinks");
    }
    scale(scores.scale(), parts);
    if (scores.softCap() != null) {
      parts.add("soft cap " + scores.softCap());
    }
    if (attention.queryKeyNorm() != null) {
      String weights = attention.queryKeyNorm().weighted() ? "" : " without weights";
      String over = lower(attention.queryKeyNorm().over()).replace('_', ' ');
      parts.add("QK-norm of the " + over + weights);
    }
    if (attention.valuesOfKeys()) {
      parts.add("keys as values");
    }
    if (attention.values() != null && attention.values().norm() != null) {
      parts.add("norm of values");
    }
    if (attention.temperature() != null) {
      parts.add("temperature from " + attention.temperature().positions() + " on");
    }
    if (attention.clip() != null) {
      parts.add("clip " + attention.clip());
    }
    if (attention.rotary() != null) {
      parts.add(rotary(attention.rotary(), heads.size()));
    }
  }

  private static void latent(LatentAttentionConfig attention, List<String> parts) {
    LatentAttentionConfig.Heads heads = attention.heads();
    LatentAttentionConfig.Ranks ranks = attention.ranks();
    parts.add(
        Words.of(
            "%s of %s (values %s) over latents of %s%s",
            Count.of(heads.count(), "head"),
            attention.querySize(),
            heads.value(),
            ranks.keyValue(),
            ranks.query() == null ? "" : ", queries of " + ranks.query()));
    scale(attention.scale(), parts);
    parts.add(rotary(attention.rotary(), attention.querySize()));
  }

  private static void scale(Double scale, List<String> parts) {
    if (scale != null) {
      parts.add("scale " + scale);
    }
  }

  private static String rotary(Rotary rotary, int headSize) {
    return Words.of(
        "rotary %,.0f%s%s%s",
        rotary.base(),
        rotary.size() == headSize ? "" : " on " + rotary.size() + " dimensions",
        rotary.pairs() == Rotary.Pairs.HALVES ? "" : " in adjacent pairs",
        switch (rotary.scaling()) {
          case null -> "";
          case RotaryScaling.Linear linear -> ", linear x" + linear.factor();
          case RotaryScaling.Dynamic dynamic -> ", dynamic x" + dynamic.factor();
          case RotaryScaling.LongRope longer ->
              ", LongRoPE from " + longer.trainedPositions() + " on";
          case RotaryScaling.Proportional some -> ", of which " + some.part() + " rotate";
          case RotaryScaling.Yarn yarn -> ", YaRN x" + yarn.factor();
          case RotaryScaling.Llama3 llama -> ", Llama 3 x" + llama.factor();
        });
  }

  private static void experts(MoeConfig moe, List<String> parts) {
    GateConfig gate = moe.gate();
    GateConfig.Choice choice = gate.choice();
    parts.add(Count.of(moe.experts(), "expert") + " of " + moe.inner());
    String groups = " in " + choice.chosenGroups() + " of " + choice.groups() + " groups";
    parts.add("top-" + gate.topK() + (choice.groups() == 1 ? "" : groups));
    if (gate.cosine() != null) {
      parts.add("by cosines over " + gate.cosine().width());
    }
    if (gate.weight().sparseMixer() != null) {
      parts.add("weights of SparseMixer");
    }
    if (gate.weight().hasFactors()) {
      parts.add("weights times a factor of the expert");
    }
    parts.add(lower(gate.capacity().policy()).replace('_', ' '));
    if (moe.residual() != null) {
      parts.add("plus a fixed MLP " + moe.residual().inner());
    }
    if (moe.shared() != null) {
      String gated = moe.shared().gated() ? "gated " : "";
      parts.add("plus a " + gated + "shared expert of " + moe.shared().inner());
    }
    if (moe.branchNorm() != null) {
      parts.add("norms of each branch");
    }
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
