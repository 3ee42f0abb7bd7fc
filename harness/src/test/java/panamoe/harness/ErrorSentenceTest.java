package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.MalformedInputException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.io.TemporaryName;

class ErrorSentenceTest {
  static Stream<Arguments> failures() {
    return Stream.of(
        Arguments.of(new AccessDeniedException("run/x"), "no permission: run/x"),
        Arguments.of(
            new AccessDeniedException(TemporaryName.of(Path.of("run/x")).toString()),
            "no permission: run/x"),
        Arguments.of(new FileSystemLoopException("run/x"), "FileSystemLoopException: run/x"),
        Arguments.of(
            new FileSystemException("run/x", null, "No space left on device"),
            "No space left on device: run/x"),
        Arguments.of(new MalformedInputException(1), "the text is not valid UTF-8"),
        Arguments.of(new UncheckedIOException(new IOException("broken pipe")), "broken pipe"),
        Arguments.of(
            new ExecutionException(new IllegalArgumentException("k is 3, E is 2")),
            "k is 3, E is 2"),
        Arguments.of(new OutOfMemoryError("Java heap space"), "out of memory: Java heap space"),
        Arguments.of(
            new NoClassDefFoundError("jcuda/runtime/JCuda"),
            "the class path has no jcuda.runtime.JCuda: add org.jcuda:jcuda to it"),
        Arguments.of(new NoClassDefFoundError("com/example/Missing"), "com/example/Missing"),
        Arguments.of(new IllegalStateException(), "unexpected IllegalStateException"),
        Arguments.of(
            new IllegalArgumentException("model/a" + "b".repeat(5000) + "c is no file"),
            "model/a" + "b".repeat(193) + "..." + "b".repeat(99) + "c is no file"),
        Arguments.of(new IllegalArgumentException("a ".repeat(5000)), "a ".repeat(2000) + "..."));
  }

  @ParameterizedTest
  @MethodSource("failures")
  void saysWhatHappened(Throwable failure, String sentence) {
    assertEquals(sentence, ErrorSentence.of(failure));
  }
}
