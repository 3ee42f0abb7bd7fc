package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.backend.Backend;
import panamoe.bindings.NativeException;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.JsonNode;

/** A modular program trains, saves, opens and writes: Jackson may look into what it maps. */
class ModulePathTest {
  private static final String PROGRAM =
      """
      package example;

      import java.nio.file.Path;
      import java.util.List;
      import java.util.Map;
      import panamoe.api.*;
      import panamoe.text.*;

      class Main {
        public static void main(String[] arguments) {
          Path folder = Path.of(arguments[0]);
          ModelSettings settings = ModelSettings.of(257, 32, 8, 2, List.of(0, 4));
          try (Device device = Device.open("reference", 1);
              TrainableModel made = TrainableModel.create(device, settings, 1);
              TrainableModel again = TrainableModel.create(device, made.config(), 1)) {
            again.save(folder, 0, Map.of());
            try (MoeModel model = MoeModel.open(device, folder)) {
              GenerationOptions twelve = GenerationOptions.of(9).withSchema("{\\"enum\\": [12]}");
              ChatOptions options = ChatOptions.of(twelve);
              List<ChatMessage> messages = List.of(ChatMessage.user("a"));
              System.out.print(model.chat(messages, options).message().content());
            }
          }
        }
      }
      """;

  @TempDir private Path folder;

  @Test
  void aModularProgramRuns() throws Exception {
    List<String> places = new ArrayList<>();
    for (Class<?> type :
        List.of(
            MoeModel.class,
            Device.class,
            Backend.class,
            NativeException.class,
            JsonNode.class,
            JsonParser.class,
            JsonProperty.class)) {
      places.add(place(type));
    }
    String modules = String.join(File.pathSeparator, places);
    String descriptor = write("module-info.java", "module example { requires panamoe.text; }");
    String main = write("Main.java", PROGRAM);
    String out = folder.resolve("classes").toString();
    String[] options = {"-p", modules, "-d", out, descriptor, main};
    assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, options));
    String java = ProcessHandle.current().info().command().orElseThrow();
    Process process =
        new ProcessBuilder(
                java,
                "-p",
                modules + File.pathSeparator + out,
                "-m",
                "example/example.Main",
                folder.toString())
            .redirectErrorStream(true)
            .start();
    assertEquals("12", new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
  }

  private String write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text).toString();
  }

  private static String place(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }
}
