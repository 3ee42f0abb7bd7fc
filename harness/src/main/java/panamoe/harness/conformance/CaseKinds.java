package panamoe.harness.conformance;

import java.util.Map;
import java.util.Optional;

/** The kinds of cases that can be replayed, by {@code op} in the metadata. */
final class CaseKinds {
  private static final Map<String, CaseKind> BY_OP =
      Map.ofEntries(
          Map.entry("deepspeed._capacity", GatingCases::capacityTable),
          Map.entry("deepspeed.top1gating", GatingCases::top1),
          Map.entry("deepspeed.top2gating", GatingCases::top2),
          Map.entry("deepspeed.topkgating", GatingCases::topK),
          Map.entry("deepspeed.MoE", LayerCases::layer));

  private CaseKinds() {}

  static Optional<CaseKind> of(String op) {
    return Optional.ofNullable(BY_OP.get(op));
  }
}
