package panamoe.checkpoint;

import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.stream.IntStream;

/**
 * The size of one rank's share of a model if ranks divide each layer's experts and replicate
 * everything else.
 *
 * @param experts number of experts of each layer; 0 is a dense layer
 * @param expertBytes bytes of all experts of each layer
 * @param commonBytes bytes that every rank holds
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
   * The smallest number of ranks, at least two, whose shares fit into {@code availableBytes}; empty
   * if no number is enough.
   */
  OptionalInt ranksFor(long availableBytes) {
    int most = experts.stream().mapToInt(Integer::intValue).max().orElse(0);
    return IntStream.rangeClosed(2, most)
        .filter(ranks -> bytes(ranks) <= availableBytes)
        .findFirst();
  }

  /** Bytes of the largest share. */
  private long bytes(int ranks) {
    long sum = commonBytes;
    for (int layer = 0; layer < expertBytes.length; layer++) {
      int count = experts.get(layer);
      sum += count == 0 ? 0 : expertBytes[layer] / count * Math.ceilDiv(count, ranks);
    }
    return sum;
  }
}
