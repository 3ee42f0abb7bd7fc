package panamoe.lab.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import panamoe.harness.Activations;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.help.OptionGroup;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The options of the model of prefill, decode and load: {@code @Mixin BenchModelOptions}. */
@OptionGroup("Model")
final class BenchModelOptions {
  private static final int MAX_TEXTS = 256;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      description =
          "The model of prefill, decode and decode-batch: paper (four layers, experts on every other one,"
              + " LayerNorm, learned positions), qwen3 (two layers, experts on both, RMSNorm, rotary"
              + " positions), or, also for load: a run's or released model's folder, a .gguf file, or a model with random weights:"
              + " synthetic-64 (six layers of 64 experts; synthetic-64:14 has 14) or qwen3-0.6b (dense, in the"
              + " shape of that name), whose file of 0.3 to 1.4 GB is written once to the user's cache folder. Default: paper; with --peer llama: qwen3.")
  private String name;

  @Option(
      names = "--quantize",
      split = ",",
      paramLabel = "TYPE",
      description =
          "Format of the weights of a --model with files: bf16, int8 or int4 (rounded), or stored (the file's blocks). synthetic-64 and qwen3-0.6b have a file for each: BF16, Q8_0, Q4_0 and Q4_K. Default: bf16.")
  private List<WeightFormat> held;

  @Option(
      names = "--activations",
      split = ",",
      paramLabel = "TYPE",
      description =
          "Activations that quantized weights of a --model with files are multiplied by: int8 (rounded) or bf16. Default: int8.")
  private List<Activations> activations;

  @Option(
      names = "--batch",
      split = ",",
      paramLabel = "B",
      description = "Sequences of a prefill or decode, each of T tokens. Default: 1.")
  private List<Integer> texts;

  @Option(
      names = "--adapters",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Adapters of attention and experts, of rank 16 and random, of a --model with files. In decode the sequences of --batch have them in turn, beside the same step without. Default: ${DEFAULT-VALUE}.")
  private int adapters;

  /** True if the model is read from files. */
  boolean ofFiles() {
    return name != null && drawn() == null;
  }

  /**
   * The model with random weights.
   *
   * @throws ParameterException if the kind runs no model
   */
  GenerationModel drawn(BenchKind kind, Peer peer, SharedOptions shared) {
    shared.require(
        name == null || kind.generates(),
        "--model is for prefill, decode and decode-batch, not for " + kind);
    shared.require(held == null, "--quantize is for a --model with files");
    shared.require(activations == null, "--activations is for a --model with files");
    shared.require(adapters == 0, "--adapters is for a --model with files");
    if (name != null) {
      return drawn();
    }
    return peer != null && kind.generates() ? peer.model() : GenerationModel.PAPER;
  }

  private GenerationModel drawn() {
    return Arrays.stream(GenerationModel.values())
        .filter(model -> model.toString().equals(name.toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElse(null);
  }

  /**
   * The model's files, one for each of {@code --quantize} and {@code --activations}.
   *
   * @throws ParameterException if the kind takes no files
   */
  List<ModelFile> files(BenchKind kind, SharedOptions shared) throws IOException {
    shared.require(
        kind.takesFiles(),
        "--model is for prefill, decode, decode-batch and load, not for " + kind);
    shared.require(
        adapters == 0 || kind == BenchKind.DECODE, "--adapters is for decode, not for " + kind);
    shared.require(adapters >= 0, "--adapters is " + adapters + ", expected 0 or more");
    List<ModelFile> files = new ArrayList<>();
    for (WeightFormat each : held == null ? List.of(WeightFormat.BF16) : held) {
      for (Activations by : activations == null ? List.of(Activations.INT8) : activations) {
        try (PartBar bar = PartBar.onStandardError("writing " + name)) {
          files.add(ModelFile.open(name, each, by, adapters, bar));
        }
      }
    }
    return files;
  }

  /**
   * The numbers of sequences.
   *
   * @throws ParameterException if the kind has no such number, or it is out of range
   */
  List<Integer> texts(BenchKind kind, SharedOptions shared) {
    for (int count : texts == null ? List.<Integer>of() : texts) {
      shared.require(
          kind == BenchKind.PREFILL || kind == BenchKind.DECODE,
          "--batch is for prefill and decode, not for " + kind);
      shared.require(
          count >= 1 && count <= MAX_TEXTS, "--batch is " + count + ", expected 1 to " + MAX_TEXTS);
    }
    return texts == null ? List.of(1) : texts;
  }
}
