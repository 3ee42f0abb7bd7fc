package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.LayerSettings;
import panamoe.api.LayerStep;
import panamoe.api.MoeLayer;
import panamoe.api.PanamoeException;
import panamoe.retrieval.RetrievalFolder;
import panamoe.text.EmbeddingModel;
import panamoe.text.EmbeddingOptions;
import panamoe.text.MoeModel;
import panamoe.text.RetrievalOptions;

/** The messages on {@code docs/errors.md} are those that these mistakes give. */
class ErrorsPageTest {
  private static final Path PAGE = Path.of("..", "docs", "errors.md");
  private static final LayerSettings SETTINGS = LayerSettings.of(64, 256, 8, 2);
  private static final Pattern SECTION = Pattern.compile("(?ms)^## `(\\S+)`\n(.*?)(?=^## |\\z)");
  private static final Pattern ROW = Pattern.compile("(?m)^\\| `([^`]+)` \\|");

  @TempDir private Path folder;
  private final Map<String, Set<String>> given = new TreeMap<>();

  private void provoke(Class<? extends Throwable> kind, Executable mistake) {
    String said = assertThrows(kind, mistake).getMessage().replace(folder.toString(), "FOLDER");
    given.computeIfAbsent(name(kind), _ -> new TreeSet<>()).add(said);
  }

  private static String name(Class<?> kind) {
    return kind.getName().replaceAll(".*\\.", "").replace('$', '.');
  }

  @Test
  void everyMessageOfTheFacadeIsGiven() throws Exception {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("reference", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 42)) {
      badArguments(arena, device, layer);
      badModels(device);
      wrongStates(arena, device);
      embedding();
    }
    provoke(UnsupportedOperationException.class, ErrorsPageTest::readsParametersOfACard);
    failedDevices();
    assertEquals(readable(given), readable(onPage()));
  }

  private void badArguments(Arena arena, Device device, MoeLayer layer) {
    Class<? extends Throwable> kind = PanamoeException.BadArgument.class;
    MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
    MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 16 * 64);
    provoke(kind, () -> Device.open("gpu", 0));
    provoke(kind, () -> MoeModel.open(device, Path.of("hf:tiny")));
    provoke(kind, () -> Device.open("cpu", 1 << 30));
    provoke(kind, () -> MoeLayer.create(device, LayerSettings.of(64, 256, 8, 9), 42));
    provoke(kind, () -> layer.forward(null, y, 16));
    provoke(kind, () -> layer.forward(x, y, 17));
    provoke(kind, () -> layer.forward(MemorySegment.ofArray(new float[16 * 64]), y, 16));
    provoke(kind, () -> layer.forward(x, y.asReadOnly(), 16));
    provoke(kind, () -> layer.forward(x, x, 16));
    provoke(kind, () -> MoeLayer.create(device, 64, "{\"kind\": \"MOE\", \"expert\": 8}", 42));
  }

  private void embedding() throws Exception {
    Path model = Files.createDirectory(folder.resolve("model"));
    RetrievalFolder.write(model, "mean", true);
    RetrievalOptions options = RetrievalOptions.USUAL.withDevice("cpu").withThreads(1);
    EmbeddingModel embedder = EmbeddingModel.open(model, options);
    Class<? extends Throwable> kind = PanamoeException.BadArgument.class;
    provoke(kind, () -> embedder.embed(List.of("a", "")));
    EmbeddingOptions wide = EmbeddingOptions.USUAL.withDimensions(49);
    provoke(kind, () -> embedder.embed(List.of("a"), wide));
    embedder.close();
    provoke(IllegalStateException.class, () -> embedder.embed("a"));
  }

  private void badModels(Device device) throws Exception {
    Class<? extends Throwable> kind = PanamoeException.BadModel.class;
    provoke(kind, () -> MoeModel.open(device, folder.resolve("nothing")));
    Path empty = Files.createDirectory(folder.resolve("empty"));
    provoke(kind, () -> MoeModel.open(device, empty));
    Path unknown = Files.createDirectory(folder.resolve("unknown"));
    Files.writeString(unknown.resolve("config.json"), "{\"model_type\": \"mamba\"}");
    provoke(kind, () -> MoeModel.open(device, unknown));
    Path quantized = Files.createDirectory(folder.resolve("quantized"));
    Files.writeString(
        quantized.resolve("config.json"),
        """
        {"model_type": "llama", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
         "num_attention_heads": 1, "vocab_size": 9, "max_position_embeddings": 8,
         "quantization_config": {"quant_method": "aqlm"}}
        """);
    provoke(kind, () -> MoeModel.open(device, quantized));
    Path bert = Files.createDirectory(folder.resolve("bert"));
    Files.writeString(bert.resolve("config.json"), "{\"model_type\": \"bert\"}");
    provoke(kind, () -> EmbeddingModel.open(bert));
    Path pickled = Files.createFile(folder.resolve("pytorch_model.bin"));
    provoke(kind, () -> MoeModel.open(device, pickled));
  }

  private void wrongStates(Arena arena, Device device) {
    Class<? extends Throwable> kind = IllegalStateException.class;
    MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 64);
    MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 64);
    MoeLayer layer = MoeLayer.create(device, SETTINGS, 42);
    try (LayerStep step = layer.train(x, y, 1, 7)) {
      step.backward(y, arena.allocate(ValueLayout.JAVA_FLOAT, 64));
      provoke(kind, () -> step.backward(y, x));
    }
    Arena brief = Arena.ofConfined();
    MemorySegment gone = brief.allocate(ValueLayout.JAVA_FLOAT, 64);
    brief.close();
    provoke(kind, () -> layer.forward(gone, y, 1));
    layer.close();
    provoke(kind, () -> layer.forward(x, y, 1));
  }

  private static void readsParametersOfACard() {
    try (Device device = Device.open("simt", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 42)) {
      layer.parameters().value("moe.experts.up.weight");
    }
  }

  private void failedDevices() throws Exception {
    for (String option :
        List.of("-Dpanamoe.native.path=/no/such/place", "--illegal-native-access=deny")) {
      List<String> command = SmallJvm.command(Opening.class);
      command.remove("--enable-native-access=ALL-UNNAMED");
      command.add(1, option);
      Process process = new ProcessBuilder(command).start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      process.waitFor();
      provoke(
          PanamoeException.DeviceFailed.class,
          () -> {
            throw new PanamoeException.DeviceFailed(said.strip(), null);
          });
    }
  }

  /** Prints why the device cannot be opened. */
  public static final class Opening {
    private Opening() {}

    public static void main(String[] arguments) {
      try {
        Device.open("cpu", 1).close();
      } catch (PanamoeException.DeviceFailed e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void theExamplesHaveTheirExitCodes() throws Exception {
    Matcher row =
        Pattern.compile("(?m)^\\| (\\d+) \\|[^|]*\\| `./panamoe (.*)` \\|$")
            .matcher(Files.readString(PAGE));
    int examples = 0;
    for (; row.find(); examples++) {
      assertEquals(
          Integer.parseInt(row.group(1)), CommandRun.of(row.group(2).split(" ")).exitCode());
    }
    assertEquals(3, examples);
  }

  @Test
  void everyKindHasASection() throws Exception {
    Set<String> sections = sections().keySet();
    for (Class<?> kind : PanamoeException.class.getPermittedSubclasses()) {
      assertTrue(sections.contains(name(kind)), () -> kind + " in " + sections);
    }
  }

  private static Map<String, Set<String>> onPage() throws Exception {
    Map<String, Set<String>> rows = new TreeMap<>();
    sections()
        .forEach(
            (kind, text) -> {
              Set<String> messages = new TreeSet<>();
              ROW.matcher(text).results().forEach(row -> messages.add(row.group(1)));
              if (!messages.isEmpty()) {
                rows.put(kind, messages);
              }
            });
    return rows;
  }

  private static Map<String, String> sections() throws Exception {
    Map<String, String> sections = new TreeMap<>();
    Matcher section = SECTION.matcher(Files.readString(PAGE));
    while (section.find()) {
      sections.put(section.group(1), section.group(2));
    }
    return sections;
  }

  private static String readable(Map<String, Set<String>> messages) {
    return Stream.of(messages)
        .flatMap(all -> all.entrySet().stream())
        .flatMap(kind -> kind.getValue().stream().map(said -> kind.getKey() + ": " + said))
        .reduce("", (all, line) -> all + line + "\n");
  }
}
