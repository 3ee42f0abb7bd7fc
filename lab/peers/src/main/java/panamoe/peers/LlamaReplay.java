package panamoe.peers;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import panamoe.lab.conformance.llamacpp.LlamaBeside;
import panamoe.tensor.DType;

/** A text that libllama writes greedily, with float32 keys and values, and the logits of it. */
final class LlamaReplay {
  private LlamaReplay() {}

  /**
   * @throws IllegalArgumentException if the library refuses the file
   */
  static LlamaBeside.Answer answer(LibLlama library, LlamaBeside.Question question) {
    int[] prompt = question.prompt();
    MemorySegment model = library.loadModel(Path.of(question.replay()));
    int length = prompt.length + question.count();
    try (LlamaTexts text =
        new LlamaTexts(library, model, 1, length, length, question.threads(), DType.FLOAT32)) {
      GreedyText written =
          GreedyText.after(prompt, question.count(), text, library.vocabulary(model));
      return new LlamaBeside.Answer(written.ids(), written.logits());
    } finally {
      library.freeModel(model);
    }
  }
}
