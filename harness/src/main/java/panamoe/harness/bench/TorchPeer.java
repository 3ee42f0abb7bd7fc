package panamoe.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;

/**
 * PyTorch on the CPU, in a process of its own: {@code jmh/peers/torch_moe.py}, which is asked one line of JSON at a
 * time and answers with the milliseconds of each call.
 */
final class TorchPeer implements AutoCloseable {
  private static final String SCRIPT = "jmh/peers/torch_moe.py";

  /** Debian's own interpreter, which has python3-torch, whatever else is on the path. */
  private static final Path DEBIAN_PYTHON = Path.of("/usr/bin/python3");

  private static final Set<Kind> LAYERS = Set.of(Kind.MOE_LAYER, Kind.MOE_LAYER_TRAINING, Kind.TRAIN_STEP);

  private final ObjectMapper json = new ObjectMapper();
  private final Process process;
  private final BufferedWriter questions;
  private final BufferedReader answers;
  private final Style style;

  /** How PyTorch runs the experts. */
  enum Style {
    /** A loop over the experts that were hit, as Hugging Face's models do. */
    LOOP,
    /** DeepSpeed's einsum over one-hot masks with capacity factor 1.25. */
    EINSUM
  }

  private TorchPeer(Process process, Style style) {
    this.process = process;
    this.questions = process.outputWriter();
    this.answers = process.inputReader();
    this.style = style;
  }

  /** Whether the peer can run this kind. */
  static boolean runs(Kind kind) {
    return LAYERS.contains(kind);
  }

  /** Starts the process, and waits until PyTorch is loaded. */
  static TorchPeer start(Style style) throws IOException {
    Path script =
        NativeBuild.projectFile(SCRIPT)
            .orElseThrow(() -> new IOException(SCRIPT + " not found above the native library"));
    String python = Files.isExecutable(DEBIAN_PYTHON) ? DEBIAN_PYTHON.toString() : "python3";
    Process process =
        new ProcessBuilder(python, script.toString()).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    TorchPeer peer = new TorchPeer(process, style);
    if (peer.answers.readLine() == null) {
      peer.close();
      throw new IOException("PyTorch cannot be started with " + python + ": ci/peers installs it");
    }
    return peer;
  }

  String name() {
    return style == Style.LOOP ? "torch" : "torch-einsum";
  }

  /** The same work as {@code cell}, run by the peer. */
  Contender contender(Cell cell) {
    ObjectNode question = json.createObjectNode();
    LayerShape shape = cell.shape();
    question
        .put("kind", cell.kind().label())
        .put("style", style.name().toLowerCase(Locale.ROOT))
        .put("hidden", shape.hidden())
        .put("expert_hidden", shape.expertHidden())
        .put("experts", shape.experts())
        .put("top_k", shape.topK())
        .put("gated", shape.activation().inputsPerOutput() == 2)
        .put("copies", cell.kind() == Kind.MOE_LAYER ? shape.copies() : 1)
        .put("tokens", cell.tokens())
        .put("batches", TokenBatches.count(cell.tokens()))
        .put("dtype", cell.dtypeLabel())
        .put("threads", cell.threads());
    return new Contender() {
      @Override
      public double[] burst(double seconds) throws IOException {
        questions.write(json.writeValueAsString(question.put("seconds", seconds)));
        questions.newLine();
        questions.flush();
        return times(answers.readLine());
      }

      @Override
      public long process() {
        return process.pid();
      }
    };
  }

  private double[] times(String answer) throws IOException {
    if (answer == null) {
      throw new IOException(name() + " ended: not enough memory, perhaps");
    }
    JsonNode node = json.readTree(answer);
    if (node.has("error")) {
      throw new IOException(name() + " failed: " + node.get("error").asText());
    }
    double[] times = new double[node.get("ms").size()];
    for (int i = 0; i < times.length; i++) {
      times[i] = node.get("ms").get(i).asDouble();
    }
    return times;
  }

  @Override
  public void close() {
    process.destroy();
  }
}
