package panamoe.lab.conformance.llamacpp;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.peer.PeerProcess;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/**
 * A GGUF file that libllama runs beside us: it continues a random prompt greedily, and our logits
 * of that very text are compared with its own.
 */
public final class LlamaComparison {
  private static final int PROMPT = 32;
  private static final int WRITTEN = 16;

  /** Of logits where both multiply by float32 weights. */
  private static final double EXACT = 1e-4;

  /** Of the range of logits, where libllama rounds activations to int8 or to 16 bits. */
  private static final double ROUNDED = 0.05;

  private static final JsonMapper JSON = JsonMapper.shared();

  private LlamaComparison() {}

  /**
   * What libllama is asked: a text of {@code count} tokens that it writes greedily after {@code
   * prompt}.
   *
   * @param replay the file
   * @param mapped whether weights stay in the file's mapping, and keys and values are rounded, the
   *     library's usual way, for which {@code ci/slow.d/offload} asks: where memory has no room for
   *     the file, the system reads pages when they are needed
   */
  public record Question(String replay, boolean mapped, int threads, int[] prompt, int count) {}

  /**
   * Its answer.
   *
   * @param ids the tokens it wrote
   * @param logits [V] that chose each; null where the file is mapped
   * @param seconds from the first token to the last
   * @param bytesRead from disks, meanwhile and for the prompt
   */
  public record Answer(int[] ids, float[][] logits, double seconds, long bytesRead) {}

  /**
   * What became of the weights as they are held.
   *
   * @param weights decoded, or stored: in the file's blocks
   * @param maxAbsError of all logits
   * @param tolerance of it
   * @param chosen of libllama's tokens that are ours as well
   * @param tokens it wrote
   * @param passed whether the error, and the distance of our logits of its tokens from our largest,
   *     are within the tolerance
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  public record Result(
      String name,
      String weights,
      double maxAbsError,
      double rmsError,
      double tolerance,
      int chosen,
      int tokens,
      @JsonProperty boolean passed) {
    /** In one line. */
    public String line() {
      return Words.of(
          "%s %s, weights %s: max abs error %.1e, rms %.1e (tolerance %.1e), %d of %d greedy tokens",
          passed ? "ok  " : "FAIL",
          name,
          weights,
          maxAbsError,
          rmsError,
          tolerance,
          chosen,
          tokens);
    }
  }

  /**
   * Compares weights decoded to float32 and, if the file has blocks, those in their blocks.
   *
   * @param threads of libllama
   * @throws IOException with a sentence if libllama refuses the file
   */
  public static List<Result> compare(
      Path file, Backend backend, PeerProcess llama, int threads, long seed) throws IOException {
    Require.that(ModelFolder.isGguf(file), "%s is no .gguf file, which libllama reads alone", file);
    ModelFolder folder = ModelFolder.open(file);
    int[] prompt = new Random(seed).ints(PROMPT, 0, folder.config().vocabulary()).toArray();
    JsonNode said =
        llama.ask(new Question(file.toAbsolutePath().toString(), false, threads, prompt, WRITTEN));
    Answer theirs = JSON.convertValue(said, Answer.class);
    double tolerance = isFloat32(folder) ? EXACT : ROUNDED * range(theirs.logits());
    List<Result> results = new ArrayList<>();
    WeightTypes stored = folder.typesAsStored(DType.FLOAT32);
    for (WeightTypes types : List.of(WeightTypes.of(DType.FLOAT32), stored)) {
      if (types == stored && !stored.quantized()) {
        continue;
      }
      float[][] ours = logits(folder, backend, types, prompt, theirs.ids());
      results.add(
          result(
              file.getFileName().toString(),
              types == stored ? "stored" : "decoded",
              tolerance,
              theirs,
              ours));
    }
    return results;
  }

  private static boolean isFloat32(ModelFolder folder) {
    try (TensorFiles files = folder.weights().open()) {
      return files.tensors().values().stream().allMatch(t -> t.type() == StoredType.F32);
    }
  }

  private static double range(float[][] logits) {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (float[] row : logits) {
      for (float logit : row) {
        low = Math.min(low, logit);
        high = Math.max(high, logit);
      }
    }
    return high - low;
  }

  /** Our logits that would choose each of {@code written}. */
  private static float[][] logits(
      ModelFolder folder, Backend backend, WeightTypes types, int[] prompt, int[] written) {
    IntStream text = IntStream.concat(Arrays.stream(prompt), Arrays.stream(written));
    long[] read = text.limit(prompt.length + written.length - 1).asLongStream().toArray();
    int vocabulary = folder.config().vocabulary();
    float[][] logits = new float[written.length][];
    try (ModelReplay model = new ModelReplay(backend, folder, types)) {
      float[] all = model.logits(read);
      for (int i = 0; i < logits.length; i++) {
        int from = (prompt.length - 1 + i) * vocabulary;
        logits[i] = Arrays.copyOfRange(all, from, from + vocabulary);
      }
    }
    return logits;
  }

  private static Result result(
      String name, String weights, double tolerance, Answer theirs, float[][] ours) {
    double most = 0;
    double squares = 0;
    double behind = 0; // how far our logit of their token is below our largest
    int chosen = 0;
    for (int i = 0; i < ours.length; i++) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int token = 0; token < ours[i].length; token++) {
        double apart = Math.abs((double) ours[i][token] - theirs.logits()[i][token]);
        most = apart >= most ? apart : Double.isNaN(apart) ? Double.POSITIVE_INFINITY : most;
        squares += apart * apart;
        largest = Math.max(largest, ours[i][token]);
      }
      float theirsChoice = ours[i][theirs.ids()[i]];
      chosen += theirsChoice == largest ? 1 : 0;
      behind = Math.max(behind, largest - theirsChoice);
    }
    return new Result(
        name,
        weights,
        most,
        Math.sqrt(squares / ours.length / ours[0].length),
        tolerance,
        chosen,
        ours.length,
        most <= tolerance && behind <= tolerance);
  }
}
