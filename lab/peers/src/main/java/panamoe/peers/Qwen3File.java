package panamoe.peers;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.checkpoint.rows.InMemory;
import panamoe.checkpoint.rows.RowSource;
import panamoe.model.LanguageModel;
import panamoe.model.family.ExportedModel;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** A model of ours as a GGUF file of llama.cpp's architecture qwen3moe, as it is exported. */
final class Qwen3File {
  private Qwen3File() {}

  /**
   * The file of a model whose parameters may get their memory later, before the file is written.
   *
   * @param model whose config is {@code GenerationModel.QWEN3}'s
   * @param dtype of matrices; vectors and routers are FLOAT32
   */
  static GgufWriter of(LanguageModel model, DType dtype) {
    Map<String, RowSource> rows = new HashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        String name = parameter.name().replace(".experts.", ".experts." + matrix + ".");
        rows.put(name, new Drawn(parameter, matrix, parameter.valueDType(dtype)));
      }
    }
    GgufWriter file = new GgufWriter().put("tokenizer.ggml.model", "no_vocab");
    ExportedModel.of("qwen3moe", model.config(), rows, Optional.empty()).addTo(file, null);
    return file;
  }

  /** A matrix of a parameter, which has its memory when it is read. */
  private record Drawn(Parameter parameter, int matrix, DType dtype) implements RowSource {
    @Override
    public long rows() {
      return parameter.matrixShape()[0];
    }

    @Override
    public long columns() {
      return Arrays.stream(parameter.matrixShape()).skip(1).reduce(1, (a, b) -> a * b);
    }

    @Override
    public void read(long row, long rows, long column, long columns, MemorySegment into) {
      Tensor value = parameter.matrix(parameter.value(), matrix);
      new InMemory(dtype, rows(), columns(), value.data()).read(row, rows, column, columns, into);
    }
  }
}
