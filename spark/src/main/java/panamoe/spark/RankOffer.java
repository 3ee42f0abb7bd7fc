package panamoe.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.apache.spark.SparkEnv;
import panamoe.bindings.NativeLibrary;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Words;

/**
 * What a rank tells the others before they meet.
 *
 * @param host of its executor
 * @param port that is free there
 * @param processor its kind, and the instruction set that the kernels use: bits depend on it
 * @param library checksum of the native library; 0 without one
 * @param checkpoint of rank 0: the newest whole one, from which all ranks start; null: none
 * @param failure why it cannot begin, in a sentence; null: it can
 */
record RankOffer(
    String host,
    int port,
    String processor,
    String library,
    @Omittable String checkpoint,
    @Omittable String failure) {
  /** Of a rank that can begin. */
  static RankOffer of(String processor, String checkpoint) {
    try (ServerSocket free = new ServerSocket(0)) {
      return new RankOffer(here(), free.getLocalPort(), processor, checksum(), checkpoint, null);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Of a rank that cannot. */
  static RankOffer failed(String why) {
    return new RankOffer(here(), 0, "", "", null, why);
  }

  /** The host of this executor, by which other executors reach it. */
  static String here() {
    return SparkEnv.get().blockManager().blockManagerId().host();
  }

  private static String checksum() throws IOException {
    CRC32C checksum = new CRC32C();
    if (NativeLibrary.file().isPresent()) {
      checksum.update(Files.readAllBytes(NativeLibrary.file().get()));
    }
    return Long.toHexString(checksum.getValue());
  }

  static List<RankOffer> parse(String... gathered) {
    List<RankOffer> all = new ArrayList<>();
    for (String each : gathered) {
      all.add(ConfigJson.parse(each, RankOffer.class, "the offer of rank " + all.size()));
    }
    return all;
  }

  /** Why these ranks cannot train together, in a sentence; empty if they can. */
  static Optional<String> refusal(List<RankOffer> all) {
    RankOffer first = all.getFirst();
    for (int rank = 0; rank < all.size(); rank++) {
      RankOffer offer = all.get(rank);
      if (offer.failure != null) {
        return Optional.of(Words.of("rank %s on %s: %s", rank, offer.host, offer.failure));
      }
    }
    for (int rank = 1; rank < all.size(); rank++) {
      RankOffer offer = all.get(rank);
      if (!offer.processor.equals(first.processor)) {
        return Optional.of(
            Words.of(
                "rank %s on %s computes on %s, but rank 0 on %s on %s, whose bits differ: choose executors of one kind, or limit all of them to one instruction set by PANAMOE_SIMD",
                rank, offer.host, offer.processor, first.host, first.processor));
      }
      if (!offer.library.equals(first.library)) {
        return Optional.of(
            Words.of(
                "rank %s on %s has another native library (checksum %s) than rank 0 on %s (%s)",
                rank, offer.host, offer.library, first.host, first.library));
      }
    }
    return Optional.empty();
  }
}
