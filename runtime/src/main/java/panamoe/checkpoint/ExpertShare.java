package panamoe.checkpoint;

import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.stream.IntStream;

/**
 * How small one rank's share of a model becomes where ranks divide the experts of each layer among
 * them, and hold all else in common.
 *
 * @param experts of each layer; 0 is a dense layer
 * @param expertBytes of all experts of each layer together
 * @param commonBytes of what every rank holds
 */
record ExpertShare(List<Integer> experts, long[] expertBytes, long commonBytes) {

  static ExpertShare of(Collection<StoredTensor> tensors, List<Integer> experts) {
    long[] bytes = new long[experts.size()];
    long common = 0;
    for (StoredTensor tensor : tensors) {
      Matcher layer = Mismatches.LAYER.matcher(tensor.name());
      boolean expert = Mismatches.EXPERT.matcher(tensor.name()).find() && layer.find();
      int index = expert ? Integer.parseInt(layer.group(1)) : 0;
      if (expert && index < bytes.length) {
        bytes[index] += tensor.bytes();
      } else {
        common += tensor.bytes();
      }
    }
    return new ExpertShare(experts, bytes, common);
  }

  /**
   * The fewest ranks, two or more, of which each can hold its share in {@code availableBytes};
   * empty if no number is enough.
   */
  OptionalInt ranksFor(long availableBytes) {
    int most = experts.stream().mapToInt(Integer::intValue).max().orElse(0);
    return IntStream.rangeClosed(2, most)
        .filter(ranks -> bytes(ranks) <= availableBytes)
        .findFirst();
  }

  /** Bytes of the rank that holds most. */
  private long bytes(int ranks) {
    long sum = commonBytes;
    for (int layer = 0; layer < expertBytes.length; layer++) {
      int count = experts.get(layer);
      sum += count == 0 ? 0 : expertBytes[layer] / count * Math.ceilDiv(count, ranks);
    }
    return sum;
  }
}
