package panamoe.jmh.peer;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import panamoe.harness.conformance.llamacpp.LlamaBeside;
import panamoe.tensor.DType;

/** A text that libllama writes greedily, with float32 keys and values, and the logits of it. */
final class LlamaReplay {
  private LlamaReplay() {}

  /**
   * @throws IllegalArgumentException if the library refuses the file
   */
  static LlamaBeside.Answer answer(LibLlama library, LlamaBeside.Question question) {
    int[] prompt = question.prompt();
    int[] ids = new int[question.count()];
    float[][] logits = new float[ids.length][];
    MemorySegment model = library.loadModel(Path.of(question.replay()));
    int length = prompt.length + ids.length;
    try (LlamaTexts text =
        new LlamaTexts(library, model, 1, length, length, question.threads(), DType.FLOAT32)) {
      for (int i = 0; i < prompt.length; i++) {
        text.add(prompt[i], 0, i, i == prompt.length - 1);
      }
      int vocabulary = library.vocabulary(model);
      for (int i = 0; i < ids.length; i++) {
        text.decode();
        logits[i] = text.logits(i == 0 ? prompt.length - 1 : 0, vocabulary);
        ids[i] = largest(logits[i]);
        text.add(ids[i], 0, prompt.length + i, true);
      }
    } finally {
      library.freeModel(model);
    }
    return new LlamaBeside.Answer(ids, logits);
  }

  private static int largest(float[] logits) {
    int largest = 0;
    for (int i = 1; i < logits.length; i++) {
      largest = logits[i] > logits[largest] ? i : largest;
    }
    return largest;
  }
}
