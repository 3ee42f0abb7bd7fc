package panamoe.edit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.edit.ExpertBlends.Blend;
import panamoe.edit.ExpertBlends.Part;
import panamoe.io.Require;

/** Grows MoE layers to given numbers of experts, such as a pyramid's. */
public final class ExpertGrowth {
  private ExpertGrowth() {}

  /**
   * The old experts come first, unchanged; then copies of them in turn, with their rows of the
   * router, each with its own noise. Groups of experts grow separately.
   *
   * @param counts experts of each MoE layer, from the first to the last
   * @param noise of the copies
   * @throws IllegalArgumentException unless there is a count for each MoE layer, and no layer
   *     shrinks
   */
  public static Edit of(ModelConfig model, List<Integer> counts, Noise noise) {
    Map<Integer, MoeConfig> before = ExpertBlends.moeLayers(model);
    Require.that(
        counts.size() == before.size(),
        "the pyramid is %s, expected a number for each MoE layer: experts by layer are %s",
        counts,
        model.experts());
    Map<Integer, Integer> wanted = new TreeMap<>();
    before.keySet().forEach(layer -> wanted.put(layer, counts.get(wanted.size())));
    ModelConfig config = ExpertBlends.changed(model, (layer, moe) -> grown(moe, wanted.get(layer)));
    Map<Integer, List<Blend>> blends = new TreeMap<>();
    before.forEach((layer, moe) -> blends.put(layer, blends(moe, wanted.get(layer))));
    return new ExpertBlends(model, config, blends, noise);
  }

  private static MoeConfig grown(MoeConfig moe, int experts) {
    if (experts < moe.experts()) {
      throw new IllegalArgumentException(
          moe.experts()
              + " experts cannot become "
              + experts
              + ": a pyramid only grows; --merge-experts or --prune-experts leave fewer");
    }
    double factor = (double) experts / moe.experts();
    return moe.withExperts(experts).withGate(moe.gate().forCopies(factor));
  }

  private static List<Blend> blends(MoeConfig moe, int experts) {
    int groups = moe.gate().choice().groups();
    int old = moe.experts() / groups;
    List<Blend> blends = new ArrayList<>();
    for (int expert = 0; expert < experts; expert++) {
      int group = expert / (experts / groups);
      int place = expert % (experts / groups);
      blends.add(new Blend(List.of(new Part(group * old + place % old, 1)), place >= old));
    }
    return blends;
  }
}
