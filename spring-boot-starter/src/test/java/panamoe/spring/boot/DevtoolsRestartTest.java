package panamoe.spring.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Configuration;
import panamoe.spring.ai.TinyModel;
import panamoe.text.GenerationOptions;
import panamoe.text.TextService;

/** Devtools restarts an application in its process, and loads its classes again. */
class DevtoolsRestartTest {
  private static final String TRIGGER = "trigger";

  /** Prints at each start how many models of all starts are open, and libraries loaded. */
  @Configuration(proxyBeanMethods = false)
  @EnableAutoConfiguration
  static class Application {
    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws IOException {
      TextService service =
          SpringApplication.run(Application.class, arguments).getBean(TextService.class);
      List<Runnable> models =
          (List<Runnable>)
              System.getProperties().computeIfAbsent("models", _ -> new ArrayList<Runnable>());
      models.add(() -> service.model().generate("the", GenerationOptions.of(1)));
      System.out.printf(
          "started: %d, open: %d, libraries: %d, %s%n",
          models.size(),
          models.stream().filter(Application::answers).count(),
          libraries(),
          Application.class.getClassLoader());
    }

    private static boolean answers(Runnable model) {
      try {
        model.run();
        return true;
      } catch (IllegalStateException _) {
        return false; // it is closed
      }
    }

    private static long libraries() throws IOException {
      try (Stream<String> mapped = Files.lines(Path.of("/proc/self/maps"))) {
        return mapped.filter(line -> line.matches(".* 0{8} .*/libpanamoe\\.so")).count();
      }
    }
  }

  @TempDir private Path model;
  @TempDir private Path watched;

  @Test
  void aRestartLeavesOneModelOpenAndTheLibraryLoaded() throws Exception {
    TinyModel.write(model);
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            Application.class.getName(),
            "--panamoe.device=cpu",
            "--panamoe.threads=1",
            "--panamoe.chat.path=" + model,
            "--panamoe.chat.template=" + TinyModel.TEMPLATE,
            "--logging.level.root=warn",
            "--spring.main.banner-mode=off",
            "--spring.main.keep-alive=true",
            "--spring.devtools.restart.additional-paths=" + watched,
            "--spring.devtools.restart.trigger-file=" + TRIGGER,
            "--spring.devtools.restart.poll-interval=50ms",
            "--spring.devtools.restart.quiet-period=20ms");
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    CompletableFuture.delayedExecutor(100, TimeUnit.SECONDS).execute(process::destroy);
    try (BufferedReader out = process.inputReader()) {
      String first = start(out);
      Files.createFile(watched.resolve("changed")); // the trigger alone changes nothing
      Files.createFile(watched.resolve(TRIGGER));
      String second = start(out);
      assertEquals("started: 1, open: 1, libraries: 1", counts(first));
      assertEquals("started: 2, open: 1, libraries: 1", counts(second));
      assertNotEquals(loader(first), loader(second));
    } finally {
      process.destroy();
      process.waitFor();
    }
  }

  private static String start(BufferedReader out) throws IOException {
    List<String> before = new ArrayList<>();
    for (String line; (line = out.readLine()) != null; before.add(line)) {
      if (line.startsWith("started")) {
        return line;
      }
    }
    throw new AssertionError("it ended: " + String.join("\n", before));
  }

  private static String counts(String line) {
    return line.substring(0, line.lastIndexOf(','));
  }

  private static String loader(String line) {
    return line.substring(line.lastIndexOf(','));
  }
}
