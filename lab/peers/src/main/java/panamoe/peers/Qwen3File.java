package panamoe.peers;

import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.lab.conformance.replay.ModelRows;
import panamoe.model.LanguageModel;
import panamoe.model.family.ExportedModel;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** Exports a model as a GGUF file of llama.cpp's architecture qwen3moe. */
final class Qwen3File {
  private Qwen3File() {}

  /**
   * The file of a model; its parameters may be allocated later, before the file is written.
   *
   * @param model whose config is {@code GenerationModel.QWEN3}'s
   * @param dtype of matrices; vectors and routers are FLOAT32; blocks are rounded from FLOAT32
   */
  static GgufWriter of(LanguageModel model, DType dtype) {
    Map<String, RowSource> rows =
        ModelRows.of(
            model, it -> it.valueDType(dtype.isBlocks() ? DType.FLOAT32 : dtype), Parameter::value);
    StoredType type = dtype.isBlocks() ? StoredType.of(dtype) : null;
    GgufWriter file = new GgufWriter().put("tokenizer.ggml.model", "no_vocab");
    ExportedModel.of("qwen3moe", model.config(), rows, Optional.empty(), null).addTo(file, type);
    return file;
  }
}
