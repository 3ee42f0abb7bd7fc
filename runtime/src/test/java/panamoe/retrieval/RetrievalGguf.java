package panamoe.retrieval;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.model.family.ExportedModel;
import panamoe.model.family.ReleasedModel;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;

/** A small Qwen3 model in GGUF, without a tokenizer, that embeds or ranks texts. */
public final class RetrievalGguf {
  /** llama.cpp's kinds of pooling, and the number of outputs. */
  public enum Kind {
    MEAN(1, 40),
    CLS(2, 40),
    LAST(3, 40),
    RANK(4, 2);

    private final int type;
    public final int width;

    Kind(int type, int width) {
      this.type = type;
      this.width = width;
    }
  }

  private RetrievalGguf() {}

  /** Writes the file; libllama reads it too. */
  public static void write(Path file, Kind kind) throws IOException {
    ModelFolder folder = ModelFolder.open(Path.of("..", "lab", "golden", "hf", "qwen3_c"));
    write(file, kind, ((StoredWeights.Released) folder.weights()).model());
  }

  /** A list of numbers in JSON. */
  public static float[] floats(JsonNode list) {
    float[] values = new float[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) list.get(i).asDouble();
    }
    return values;
  }

  /** Writes a file with the weights of another Qwen3 model. */
  public static void write(Path file, Kind kind, ReleasedModel model) throws IOException {
    ModelConfig config = model.config().with(new HeadConfig(true, false));
    GgufWriter gguf = new GgufWriter().put("tokenizer.ggml.model", "no_vocab");
    try (TensorFiles files = model.open()) {
      Map<String, RowSource> rows = model.sources(files);
      rows.remove("head.weight");
      ExportedModel.of("", config, rows, Optional.empty(), null).addTo(gguf, StoredType.F32);
      gguf.put("qwen3.pooling_type", kind.type);
      if (kind == Kind.RANK) {
        float[] labels = new float[2 * config.hidden()];
        Random random = new Random(8);
        for (int i = 0; i < labels.length; i++) {
          labels[i] = (float) random.nextGaussian(0, 0.2);
        }
        gguf.put("qwen3.classifier.output_labels", List.of("yes", "no"));
        gguf.add(
            "cls.output.weight",
            DType.FLOAT32,
            new long[] {2, config.hidden()},
            () -> List.of(Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, labels)));
      }
      gguf.write(file, _ -> {});
    }
  }
}
