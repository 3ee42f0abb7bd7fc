package panamoe.open.hub;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ProxySelector;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.StrictJson;
import panamoe.testkit.HubStandIn;

/** The cache as huggingface_hub 1.x writes and reads it. */
class HubCacheTest {
  private static final byte[] WEIGHTS = new byte[5000];
  private static final byte[] Q8 = new byte[700];
  private static final byte[] Q4 = new byte[400];
  private static final String CONFIG =
      """
      {"model_type": "qwen3", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
       "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 8, "vocab_size": 300,
       "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu",
       "tie_word_embeddings": true}
      """;

  @TempDir private Path folder;
  private Path cache;
  private Path repository;
  private HubStandIn hub;

  @BeforeEach
  void begin() {
    cache = folder.resolve("hub");
    repository = cache.resolve("models--acme--tiny");
    hub =
        new HubStandIn()
            .with("README.md", "not fetched")
            .with("config.json", CONFIG)
            .with("tokenizer.json", "{}")
            .with("model.safetensors", WEIGHTS)
            .with("Q8_0/tiny-Q8_0.gguf", Q8)
            .with("tiny-Q4_K_M.gguf", Q4);
  }

  @AfterEach
  void end() {
    hub.close();
  }

  private Path pull(String name) {
    Hub.Watch silent =
        new Hub.Watch() {
          @Override
          public void says(String sentence) {}

          @Override
          public void has(long bytes, long all) {}
        };
    HubSettings settings =
        new HubSettings(hub.endpoint(), cache, null, ProxySelector.of(null), false);
    return new Hub(settings, silent).pull(ModelName.parse(name));
  }

  @Test
  void withoutTheNetworkItIsSaidWhatThereIs() {
    pull("hf:acme/tiny:Q8_0");
    HubSettings settings =
        new HubSettings(hub.endpoint(), cache, null, ProxySelector.of(null), true);
    String message =
        assertThrows(
                CheckpointException.class,
                () -> new Hub(settings, null).open(ModelName.parse("hf:acme/tiny:Q4_K_M")))
            .getMessage();
    assertEquals(
        "hf:acme/tiny:Q4_K_M is not whole in "
            + cache
            + ", which has hf:acme/tiny:Q8_0, and the network is not to be used (--offline,"
            + " HF_HUB_OFFLINE)",
        message);
  }

  private List<String> models() {
    return new HubCache(cache)
        .models().stream()
            .map(model -> model.name() + " " + model.bytes() + " " + model.shared())
            .toList();
  }

  private long remove(String name) {
    return new HubCache(cache).remove(ModelName.parse(name));
  }

  /** Every entry below the repository: a link's target, or a file's content if it is short. */
  private TreeMap<String, String> entries() throws IOException {
    TreeMap<String, String> entries = new TreeMap<>();
    try (Stream<Path> all = Files.walk(repository)) {
      for (Path each :
          all.filter(path -> !Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)).toList()) {
        String text =
            Files.isSymbolicLink(each)
                ? Files.readSymbolicLink(each).toString()
                : Files.size(each) < 100 ? Files.readString(each) : "...";
        entries.put(repository.relativize(each).toString(), text);
      }
    }
    return entries;
  }

  @Test
  void theLayoutIsThatOfOtherPrograms() throws IOException {
    Path snapshot = pull("hf:acme/tiny");
    pull("hf:acme/tiny:Q8_0");
    String at = "snapshots/" + HubStandIn.COMMIT + "/";
    String config = HubStandIn.blob(CONFIG.getBytes(UTF_8));
    String tokenizer = HubStandIn.blob("{}".getBytes(UTF_8));
    TreeMap<String, String> expected = new TreeMap<>();
    expected.put("refs/main", HubStandIn.COMMIT);
    expected.put("blobs/" + config, "...");
    expected.put("blobs/" + tokenizer, "{}");
    expected.put("blobs/" + HubStandIn.sha256(WEIGHTS), "...");
    expected.put("blobs/" + HubStandIn.sha256(Q8), "...");
    expected.put(at + "config.json", "../../blobs/" + config);
    expected.put(at + "tokenizer.json", "../../blobs/" + tokenizer);
    expected.put(at + "model.safetensors", "../../blobs/" + HubStandIn.sha256(WEIGHTS));
    expected.put(at + "Q8_0/tiny-Q8_0.gguf", "../../../blobs/" + HubStandIn.sha256(Q8));
    expected.put("trees/" + HubStandIn.COMMIT + ".json", "...");
    assertEquals(expected, entries());
    assertEquals(repository.resolve("snapshots", HubStandIn.COMMIT), snapshot);
    Path locks = cache.resolve(".locks", "models--acme--tiny");
    assertTrue(Files.exists(locks.resolve(HubStandIn.sha256(WEIGHTS) + ".lock")));
    var tree =
        StrictJson.tree(
            Files.readAllBytes(repository.resolve("trees", HubStandIn.COMMIT + ".json")));
    assertEquals(1, tree.at("/format_version").asInt());
    assertEquals(
        "{\"size\":700,\"blob_id\":\""
            + HubStandIn.blob(Q8)
            + "\",\"lfs_sha256\":\""
            + HubStandIn.sha256(Q8)
            + "\",\"lfs_size\":700}",
        tree.path("files").path("Q8_0/tiny-Q8_0.gguf").toString());
  }

  @Test
  void modelsAreListedByName() throws IOException {
    assertEquals(List.of(), models());
    pull("hf:acme/tiny:Q8_0");
    assertEquals(List.of("hf:acme/tiny:Q8_0 700 0"), models());
    pull("hf:acme/tiny");
    pull("hf:acme/tiny:Q4_K_M");
    hub.commit = "f".repeat(40);
    pull("hf:acme/tiny:Q8_0");
    String first = "hf:acme/tiny@" + HubStandIn.COMMIT;
    long folder = CONFIG.length() + 2 + WEIGHTS.length;
    assertEquals(
        List.of(
            first + " " + folder + " 0",
            first + ":Q4_K_M 400 0",
            first + ":Q8_0 700 700",
            "hf:acme/tiny:Q8_0 700 700"),
        models());
    assertTrue(new HubCache(cache).models().getFirst().used().isPresent());
    Files.createDirectories(cache.resolve("datasets--a--b/snapshots"));
    Files.createDirectories(cache.resolve("models--other--bert/blobs"));
    Files.writeString(cache.resolve("models--other--bert/blobs/x.incomplete"), "part");
    assertEquals("hf:other/bert 4 0", models().getLast());
    assertEquals(5, models().size());
  }

  @Test
  void aRemovedModelLeavesWhatOthersShare() throws IOException {
    pull("hf:acme/tiny:Q8_0");
    pull("hf:acme/tiny:Q4_K_M");
    String first = HubStandIn.COMMIT;
    hub.commit = "f".repeat(40);
    pull("hf:acme/tiny:Q8_0");
    assertEquals(0, remove("hf:acme/tiny@" + first + ":Q8_0"));
    assertTrue(Files.exists(repository.resolve("blobs", HubStandIn.sha256(Q8))));
    assertTrue(remove("hf:acme/tiny@" + first + ":Q4_K_M") > 400);
    assertFalse(Files.exists(repository.resolve("snapshots", first)));
    assertFalse(Files.exists(repository.resolve("blobs", HubStandIn.sha256(Q4))));
    assertEquals(List.of("hf:acme/tiny:Q8_0 700 0"), models());
    String message =
        assertThrows(CheckpointException.class, () -> remove("hf:acme/tiny:Q4_K_M")).getMessage();
    assertEquals(
        "hf:acme/tiny:Q4_K_M is not in " + cache + ", which has hf:acme/tiny:Q8_0", message);
    assertTrue(remove("hf:acme/tiny") > 700);
    assertFalse(Files.exists(repository));
    assertFalse(Files.exists(cache.resolve(".locks", "models--acme--tiny")));
    assertThrows(CheckpointException.class, () -> remove("hf:acme/tiny"));
  }

  @Test
  void nothingOutsideIsRemoved() throws IOException {
    Path other = Files.writeString(Files.createDirectory(folder.resolve("x")).resolve("y"), "mine");
    pull("hf:acme/tiny:Q8_0");
    pull("hf:acme/tiny:Q4_K_M");
    Path link = repository.resolve("snapshots", HubStandIn.COMMIT, "tiny-Q4_K_M.gguf");
    Files.delete(link);
    Files.createSymbolicLink(link, other);
    remove("hf:acme/tiny:Q4_K_M");
    assertFalse(Files.exists(link, LinkOption.NOFOLLOW_LINKS));
    Files.createSymbolicLink(repository.resolve("away"), other.getParent());
    remove("hf:acme/tiny");
    assertFalse(Files.exists(repository));
    assertEquals("mine", Files.readString(other));
  }
}
