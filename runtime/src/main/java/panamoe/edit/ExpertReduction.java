package panamoe.edit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.edit.ExpertBlends.Blend;
import panamoe.edit.ExpertBlends.Part;
import panamoe.io.Require;

/**
 * Reduces the experts of MoE layers. Those with the highest scores, such as their loads, are kept
 * in their order; ties go to the earlier. Groups of experts are reduced equally.
 */
public final class ExpertReduction {
  private ExpertReduction() {}

  /**
   * Checks that each MoE layer can be merged to {@code left} experts.
   *
   * @return the config of the result
   * @throws IllegalArgumentException if a layer has fewer, or its gate needs more
   */
  public static ModelConfig merged(ModelConfig model, int left) {
    return ExpertBlends.changed(
        model,
        (_, moe) -> {
          if (left < 1 || left > moe.experts()) {
            throw Require.refusal(
                "%s experts cannot be merged down to %s: 1 to %s have to stay",
                moe.experts(), left, moe.experts());
          }
          return moe.withExperts(left);
        });
  }

  /**
   * Merges each MoE layer to {@code left} experts. Every other expert joins the kept one with the
   * most similar row of the router (cosine); these become their mean, weighted by load, or the
   * plain mean if none was used.
   *
   * @param loads routes to each expert by layer
   * @throws IllegalArgumentException like {@link #merged}
   */
  public static Edit merge(
      ModelConfig model, int left, Map<Integer, long[]> loads, Edit.Source source) {
    ModelConfig config = merged(model, left);
    Map<Integer, List<Blend>> blends = new TreeMap<>();
    ExpertBlends.moeLayers(model)
        .forEach(
            (layer, moe) -> {
              float[] router = source.read(LayerNames.router(layer, moe));
              long[] load = loads.get(layer);
              List<Integer> kept = best(moe, left, Arrays.stream(load).asDoubleStream().toArray());
              List<List<Integer>> joined = new ArrayList<>();
              kept.forEach(expert -> joined.add(new ArrayList<>(List.of(expert))));
              for (int expert = 0; expert < moe.experts(); expert++) {
                if (!kept.contains(expert)) {
                  joined.get(mostSimilar(moe, expert, kept, router)).add(expert);
                }
              }
              blends.put(layer, joined.stream().map(group -> mean(group, load)).toList());
            });
    return new ExpertBlends(model, config, blends, null);
  }

  /**
   * Checks that experts of each MoE layer can be removed.
   *
   * @param removal how many of a layer's experts
   * @return the config of the result
   * @throws IllegalArgumentException if a layer would have no experts, or fewer than its gate needs
   */
  public static ModelConfig pruned(ModelConfig model, IntUnaryOperator removal) {
    return ExpertBlends.changed(
        model,
        (_, moe) -> {
          int removed = removal.applyAsInt(moe.experts());
          if (removed < 1 || removed >= moe.experts()) {
            throw Require.refusal(
                "%s of %s experts cannot be removed: %s can go",
                removed,
                moe.experts(),
                moe.experts() == 1 ? "none" : "1 to " + (moe.experts() - 1));
          }
          return moe.withExperts(moe.experts() - removed);
        });
  }

  /**
   * Removes the experts of each MoE layer with the lowest scores, with their rows of the router.
   *
   * @param removal how many of a layer's experts
   * @param scores of each expert by layer, such as its load or its {@link ExpertSaliency}
   * @throws IllegalArgumentException like {@link #pruned}
   */
  public static Edit prune(
      ModelConfig model, IntUnaryOperator removal, Map<Integer, double[]> scores) {
    ModelConfig config = pruned(model, removal);
    Map<Integer, List<Blend>> blends = new TreeMap<>();
    ExpertBlends.moeLayers(model)
        .forEach(
            (layer, moe) ->
                blends.put(
                    layer,
                    best(moe, config.experts().get(layer), scores.get(layer)).stream()
                        .map(Blend::of)
                        .toList()));
    return new ExpertBlends(model, config, blends, null);
  }

  /** The experts with the highest scores, equally many of each group, in their order. */
  private static List<Integer> best(MoeConfig moe, int left, double[] scores) {
    int groups = moe.gate().choice().groups();
    int size = moe.experts() / groups;
    List<Integer> kept = new ArrayList<>();
    for (int group = 0; group < groups; group++) {
      IntStream.range(group * size, (group + 1) * size)
          .boxed()
          .sorted(Comparator.comparingDouble(expert -> -scores[expert]))
          .limit(left / groups)
          .sorted()
          .forEach(kept::add);
    }
    return kept;
  }

  /** The index in {@code kept} of the expert of this group with the most similar row. */
  private static int mostSimilar(MoeConfig moe, int expert, List<Integer> kept, float[] router) {
    int size = moe.experts() / moe.gate().choice().groups();
    int width = router.length / moe.experts();
    int best = -1;
    double most = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < kept.size(); i++) {
      if (kept.get(i) / size == expert / size) {
        double similarity = cosine(router, expert * width, kept.get(i) * width, width);
        if (similarity > most) {
          best = i;
          most = similarity;
        }
      }
    }
    return best;
  }

  /** 0 for a row of zeros. */
  private static double cosine(float[] values, int a, int b, int width) {
    double product = 0;
    double squaresA = 0;
    double squaresB = 0;
    for (int i = 0; i < width; i++) {
      product += (double) values[a + i] * values[b + i];
      squaresA += (double) values[a + i] * values[a + i];
      squaresB += (double) values[b + i] * values[b + i];
    }
    double norms = Math.sqrt(squaresA) * Math.sqrt(squaresB);
    return norms > 0 ? product / norms : 0;
  }

  private static Blend mean(List<Integer> group, long[] load) {
    double all = group.stream().mapToLong(expert -> load[expert]).sum();
    return new Blend(
        group.stream()
            .map(expert -> new Part(expert, all > 0 ? load[expert] / all : 1.0 / group.size()))
            .toList(),
        false);
  }
}
