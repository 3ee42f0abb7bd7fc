package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.open.hub.Hub;
import panamoe.open.hub.HubSettings;
import panamoe.open.hub.ModelName;
import panamoe.tensor.DType;

/** A released model as Hugging Face's cache holds it: names in a snapshot, contents in blobs. */
class DownloadCacheTest {
  private static final String REVISION = "0123456789abcdef0123456789abcdef01234567";

  @TempDir private Path folder;
  private Path model;
  private Path snapshot;
  private int blobs;

  @BeforeEach
  void download() throws IOException {
    model = Files.createDirectory(folder.resolve("models--acme--mixtral"));
    snapshot = Files.createDirectories(model.resolve("snapshots").resolve(REVISION));
    Files.createDirectory(model.resolve("blobs"));
    Files.createDirectory(model.resolve("refs"));
    Files.writeString(model.resolve("refs/main"), REVISION);
    Path plain = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32).write(folder.resolve("plain"));
    try (Stream<Path> files = Files.list(plain)) {
      for (Path file : files.sorted().toList()) {
        Path blob = Path.of("..", "..", "blobs", "%064x".formatted(++blobs));
        Files.copy(file, snapshot.resolve(blob));
        Files.createSymbolicLink(snapshot.resolve(file.getFileName()), blob);
      }
    }
  }

  private static void loads(Path path) {
    try (Backend backend = new ReferenceBackend()) {
      ModelFolder.open(path).load(backend, DType.FLOAT32).close();
    }
  }

  private void refused(Path path, String words) {
    String message = assertThrows(CheckpointException.class, () -> loads(path)).getMessage();
    assertTrue(message.contains(words), message);
  }

  @Test
  void itOpensByTheModelOrASnapshot() throws IOException {
    for (Path path : List.of(model, snapshot)) {
      loads(path);
      assertEquals(snapshot, ModelFolder.open(path).path());
    }
    loads(Files.createSymbolicLink(folder.resolve("mine"), snapshot));
  }

  /** Another program has no list of the repository's files. */
  @Test
  void itOpensByNameWithoutTheNetwork() throws IOException {
    HubSettings settings =
        new HubSettings(
            URI.create("http://127.0.0.1:1"), folder, null, ProxySelector.of(null), true);
    Hub hub = new Hub(settings, null);
    Path tokenizer = snapshot.resolve("tokenizer.json");
    Files.writeString(model.resolve("blobs/t"), "{}");
    Files.createSymbolicLink(tokenizer, Path.of("..", "..", "blobs", "t"));
    assertEquals(snapshot, hub.open(ModelName.parse("hf:acme/mixtral")));
    assertEquals(snapshot, hub.open(ModelName.parse("hf:acme/mixtral@" + REVISION)));
    Files.delete(snapshot.resolve("model.safetensors"));
    assertThrows(CheckpointException.class, () -> hub.open(ModelName.parse("hf:acme/mixtral")));
  }

  @Test
  void aFileInASubfolderIsReadToo() throws IOException {
    Path parts = Files.createDirectory(snapshot.resolve("Q8_0"));
    for (int i = 1; i <= 3; i++) {
      String number = "-0000" + i + "-of-00003.gguf";
      Path golden = Path.of("..", "lab", "golden", "gguf", "qwen3moe_c_q8_0_split" + number);
      Files.copy(golden, model.resolve("blobs/part" + i));
      Path link = parts.resolve("c-Q8_0" + number);
      Files.createSymbolicLink(link, Path.of("..", "..", "..", "blobs", "part" + i));
    }
    Path first = parts.resolve("c-Q8_0-00001-of-00003.gguf");
    assertEquals(
        "qwen3_moe", ((StoredWeights.Released) ModelFolder.open(first).weights()).model().type());
    Files.delete(first);
    Files.createSymbolicLink(first, Path.of("..", "..", "..", "refs", "main"));
    String message =
        assertThrows(CheckpointException.class, () -> ModelFolder.open(first)).getMessage();
    assertTrue(message.contains(first + " is a symbolic link"), message);
  }

  @Test
  void linksThatLeaveTheModelAreRefused() throws IOException {
    Path config = snapshot.resolve("config.json");
    Path weights = snapshot.resolve("model.safetensors");
    for (Path outside :
        List.of(
            folder.resolve("plain/model.safetensors"),
            Path.of("..", "..", "..", "plain", "model.safetensors"),
            Path.of("model-copy"))) {
      if (!outside.isAbsolute() && outside.getNameCount() == 1) {
        Files.copy(folder.resolve("plain/model.safetensors"), snapshot.resolve(outside));
      }
      Files.delete(weights);
      Files.createSymbolicLink(weights, outside);
      refused(snapshot, weights + " is a symbolic link");
    }
    Files.delete(config);
    Files.createSymbolicLink(config, folder.resolve("plain/config.json"));
    refused(model, config + " is a symbolic link");
  }

  /** Their content could reach a prompt or a message. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja"
      })
  void textsAreReadThroughNoLinkThatLeaves(String name) throws IOException {
    Path secret = Files.writeString(folder.resolve("secret"), "not to be read");
    Path file = folder.resolve("plain").resolve(name);
    Files.deleteIfExists(file);
    Files.createSymbolicLink(file, secret);
    RuntimeException refusal =
        assertThrows(
            RuntimeException.class,
            () -> {
              TokenizerFiles files = new TokenizerFiles(folder.resolve("plain"), true);
              files.chatTemplate();
              files.sampling();
              files.tokenizer();
            });
    assertTrue(
        refusal.getMessage().contains("a symbolic link, not a regular file"), refusal.getMessage());
  }

  @Test
  void aBlobThatIsALinkOrNotThereIsRefused() throws IOException {
    Path weights = snapshot.resolve("model.safetensors");
    Path blob = snapshot.resolve(Files.readSymbolicLink(weights)).normalize();
    Files.delete(blob);
    refused(snapshot, weights + " does not exist");
    Files.createSymbolicLink(blob, folder.resolve("plain/model.safetensors"));
    refused(snapshot, weights + " is a symbolic link");
  }

  @Test
  void aRevisionThatIsNotThereIsRefused() throws IOException {
    Path main = model.resolve("refs/main");
    for (String revision : List.of("../" + "snapshots/" + REVISION, "abc", "")) {
      Files.writeString(main, revision);
      refused(model, main + " names no folder in " + model.resolve("snapshots"));
    }
  }
}
