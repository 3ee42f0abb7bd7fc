package panamoe.lab.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.checkpoint.LowRank;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.MoeConfig;
import panamoe.harness.Activations;
import panamoe.harness.Quantization;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.param.Parameter;
import panamoe.param.Parameter.Part;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A model that is read from its files: a user's, or the synthetic one.
 *
 * @param name on the command line; for a user's model, the last part of the path
 * @param held format of the weights in memory
 * @param activations dtype that quantized weights are multiplied by
 * @param adapters number of random adapters
 * @param folder of its files
 */
record ModelFile(
    String name, WeightFormat held, Activations activations, int adapters, ModelFolder folder) {
  /** r of random adapters. */
  private static final int RANK = 16;

  /**
   * Opens a model; the synthetic one is written first if it is not there.
   *
   * @param progress receives the written part, 0 to 1
   * @throws IllegalArgumentException if it cannot be read
   */
  static ModelFile open(
      String name,
      WeightFormat held,
      Activations activations,
      int adapters,
      DoubleConsumer progress)
      throws IOException {
    boolean synthetic = SyntheticModel.isNamed(name);
    Path path =
        synthetic ? SyntheticModel.named(name).inCache(held.synthetic(), progress) : Path.of(name);
    ModelFolder folder = ModelFolder.open(path);
    Path last = path.toAbsolutePath().normalize().getFileName();
    return new ModelFile(
        synthetic || last == null ? name : last.toString(), held, activations, adapters, folder);
  }

  Path path() {
    return folder.path();
  }

  int vocabulary() {
    return folder.config().vocabulary();
  }

  /** The shape of its first MoE layer; without one that of its MLP, of no experts. */
  LayerShape shape() {
    int hidden = folder.config().hidden();
    List<FeedForwardConfig> layers =
        folder.config().blocks().stream().map(BlockConfig::feedForward).toList();
    return layers.stream()
        .filter(layer -> layer instanceof MoeConfig)
        .findFirst()
        .map(layer -> shape(hidden, (MoeConfig) layer))
        .orElseGet(() -> shape(hidden, (DenseConfig) layers.getFirst()));
  }

  private static LayerShape shape(int hidden, MoeConfig moe) {
    int chosen = moe.gate().topK();
    boolean gated = moe.activation().inputsPerOutput() == 2;
    String name =
        hidden + "x" + moe.inner() + "x" + moe.experts() + "x" + chosen + (gated ? "-swiglu" : "");
    return new LayerShape(name, hidden, moe.inner(), moe.experts(), chosen, moe.activation(), 1);
  }

  private static LayerShape shape(int hidden, DenseConfig mlp) {
    String name = hidden + "x" + mlp.inner();
    return new LayerShape(name, hidden, mlp.inner(), 0, 0, mlp.activation(), 1);
  }

  /** Loads the model; matrices of the synthetic one keep their stored format. */
  LanguageModel load(Backend backend, DType compute) {
    Quantization quantization =
        SyntheticModel.isNamed(name) ? Quantization.STORED : held.quantization();
    WeightTypes types = activations.of(quantization.types(compute, () -> folder));
    List<String> warnings = new ArrayList<>(); // a benchmark does not print them
    return folder.load(backend, InferenceSettings.of(types).with(randomAdapters()), warnings);
  }

  /** Adapters of attention and experts. */
  private NamedAdapters randomAdapters() {
    Random random = new Random(RANK);
    List<String> names = new ArrayList<>();
    List<Map<String, LowRank>> factors = new ArrayList<>();
    try (LanguageModel whole = new LanguageModel(folder.config())) {
      for (int number = 0; number < adapters; number++) {
        Map<String, LowRank> adapter = new HashMap<>();
        for (Parameter each : whole.parameters().parameters()) {
          boolean adapted = each.part() == Part.ATTENTION || each.part() == Part.EXPERT;
          long[] shape = each.matrixShape();
          for (int i = 0; adapted && shape.length == 2 && i < each.matrices(); i++) {
            float[] a = numbers(random, shape[1]);
            adapter.put(each.tensorName(i), new LowRank(RANK, a, numbers(random, shape[0]), 1));
          }
        }
        names.add("adapter-" + number);
        factors.add(adapter);
      }
    }
    return new NamedAdapters(names, factors);
  }

  private static float[] numbers(Random random, long width) {
    float[] numbers = new float[Math.toIntExact(RANK * width)];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (random.nextFloat() - 0.5f) / RANK;
    }
    return numbers;
  }
}
