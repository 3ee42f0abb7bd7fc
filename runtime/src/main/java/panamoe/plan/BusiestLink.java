package panamoe.plan;

import java.util.List;
import panamoe.comm.VirtualSpan;
import panamoe.comm.VirtualSpan.LinkTimes;

/**
 * The network link that was busy for the longest time.
 *
 * @param rank owner of the link
 * @param name {@code near out}, {@code near in}, {@code far out} or {@code far in}
 * @param seconds for which it moved bytes
 */
public record BusiestLink(int rank, String name, double seconds) {
  /** The busiest link of all ranks; the lowest rank wins a tie. */
  static BusiestLink of(int ranks, List<VirtualSpan> spans) {
    LinkTimes[] times = new LinkTimes[ranks];
    for (VirtualSpan span : spans) {
      LinkTimes before = times[span.rank()];
      times[span.rank()] = before == null ? span.busy() : before.plus(span.busy());
    }
    BusiestLink busiest = new BusiestLink(0, "near out", 0);
    for (int rank = 0; rank < ranks; rank++) {
      LinkTimes of = times[rank] == null ? LinkTimes.NONE : times[rank];
      busiest = busiest.or(rank, "near out", of.nearOut());
      busiest = busiest.or(rank, "near in", of.nearIn());
      busiest = busiest.or(rank, "far out", of.farOut());
      busiest = busiest.or(rank, "far in", of.farIn());
    }
    return busiest;
  }

  private BusiestLink or(int otherRank, String otherName, double more) {
    return more > seconds ? new BusiestLink(otherRank, otherName, more) : this;
  }
}
