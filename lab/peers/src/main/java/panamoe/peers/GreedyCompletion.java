package panamoe.peers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.lab.conformance.llamacpp.LlamaComparison.Answer;
import panamoe.lab.conformance.llamacpp.LlamaComparison.Question;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.tensor.DType;

/** A greedy completion by libllama. */
final class GreedyCompletion {
  /** The kernel's I/O counters of this process, with the bytes read from disks. */
  private static final Path READS = Path.of("/proc/self/io");

  private static final String BYTES = "read_bytes: ";

  private GreedyCompletion() {}

  /**
   * Generates the completion.
   *
   * @throws IllegalArgumentException if the library refuses the file
   */
  static Answer answer(LibLlama library, Question question) throws IOException {
    int[] prompt = question.prompt();
    int length = prompt.length + question.count();
    DType cache = question.mapped() ? DType.BFLOAT16 : DType.FLOAT32;
    Path file = Path.of(question.replay());
    MemorySegment model =
        question.mapped() ? library.loadModel(file, true) : library.loadUnpacked(file);
    try (LlamaSequences text =
        new LlamaSequences(library, model, 1, length, length, question.threads(), cache)) {
      long before = bytesRead();
      int[] ids = new int[question.count()];
      float[][] logits = new float[ids.length][];
      long first = 0;
      for (int i = 0; i < prompt.length; i++) {
        text.add(prompt[i], 0, i, i == prompt.length - 1);
      }
      for (int i = 0; i < ids.length; i++) {
        text.decode();
        first = i == 0 ? System.nanoTime() : first;
        logits[i] = text.logits(i == 0 ? prompt.length - 1 : 0, library.vocabulary(model));
        ids[i] = ModelReplay.largest(logits[i]);
        text.add(ids[i], 0, prompt.length + i, true);
      }
      double seconds = (System.nanoTime() - first) / 1e9;
      return new Answer(ids, question.mapped() ? null : logits, seconds, bytesRead() - before);
    } finally {
      library.freeModel(model);
    }
  }

  private static long bytesRead() throws IOException {
    return Files.readAllLines(READS).stream()
        .filter(line -> line.startsWith(BYTES))
        .mapToLong(line -> Long.parseLong(line.substring(BYTES.length())))
        .sum();
  }
}
