package panamoe.checkpoint;

import java.util.List;
import java.util.stream.Stream;

/**
 * The result of loading.
 *
 * @param tensors number of tensors read
 * @param bytes of their elements
 * @param warnings sentences about accepted irregularities: values that are not finite, tensors
 *     without a destination
 */
public record LoadReport(int tensors, long bytes, List<String> warnings) {
  /** This report with {@code notes} before its warnings. */
  public LoadReport after(List<String> notes) {
    return new LoadReport(
        tensors, bytes, Stream.concat(notes.stream(), warnings.stream()).toList());
  }
}
