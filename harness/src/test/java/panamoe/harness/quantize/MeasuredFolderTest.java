package panamoe.harness.quantize;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.data.Tokens;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.quantize.QuantizationFormat;
import panamoe.quantize.QuantizationPlan;
import panamoe.quantize.QuantizedModel;
import panamoe.tensor.DType;

class MeasuredFolderTest {
  private static Backend withMemory(long bytes) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (_, _, _) -> bytes);
  }

  /** Before the calibration, from the wanted formats alone. */
  @Test
  void aModelThatDoesNotFitBesideItsSourceIsRefused() {
    ModelFolder folder = ModelFolder.open(Path.of("../lab/golden/gguf/mixtral_text_f16.gguf"));
    Map<QuantizedMatrix, QuantizationFormat> wanted =
        QuantizedModel.wanted(folder, QuantizationPlan.NONE, QuantizationFormat.INT8);
    ByteTokenizer bytesAsTokens = new ByteTokenizer();
    Tokens tokens = Corpus.of(List.of("a text for measuring")).tokens(bytesAsTokens);
    TokenWindows held = new TokenWindows(tokens, bytesAsTokens, 8);
    long bytes = folder.weights().bytes(); // in two bytes an element
    try (Backend backend = new ReferenceBackend();
        LanguageModel source = folder.load(backend, DType.FLOAT32)) {
      MeasuredFolder small = place(withMemory(bytes / 2), source, held);
      MeasuredFolder middle = place(withMemory(bytes * 3 / 2), source, held);
      assertRefused(
          "the quantized model does not fit into memory with its source; --measure 0 writes it"
              + " without measuring it",
          () -> small.requireRoom(folder, wanted, false));
      assertDoesNotThrow(() -> middle.requireRoom(folder, wanted, false));
      assertRefused(
          "to choose formats, the model must fit into memory twice; name them with --to or --plan",
          () -> middle.requireRoom(folder, wanted, true));
      MeasuredFolder unmeasured = place(withMemory(0), source, null);
      assertDoesNotThrow(() -> unmeasured.requireRoom(folder, wanted, false));
    }
  }

  private static MeasuredFolder place(Backend backend, LanguageModel source, TokenWindows held) {
    return new MeasuredFolder(Path.of("out"), null, backend, source, "text", held, 8, null);
  }

  private static void assertRefused(String message, Runnable check) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, check::run).getMessage());
  }
}
