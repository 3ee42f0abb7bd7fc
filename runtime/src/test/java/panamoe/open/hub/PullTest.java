package panamoe.open.hub;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.testkit.HubStandIn;
import panamoe.testkit.HubStandIn.Fault;

/** Models fetched from a stand-in of the hub. */
class PullTest {
  private static final ModelName NAME = ModelName.parse("hf:acme/tiny:Q8_0");
  private static final String FILE = "tiny-Q8_0.gguf";
  private static final byte[] CONTENT = new byte[3_000_000];
  private static final String REPOSITORY = "models--acme--tiny";

  static {
    new Random(1).nextBytes(CONTENT);
  }

  @TempDir private Path cache;
  private final HubStandIn hub = new HubStandIn().with(FILE, CONTENT);
  private final List<String> said = new ArrayList<>();
  private final List<Long> seen = new ArrayList<>();
  private final List<Duration> pauses = new ArrayList<>();
  private String token;
  private boolean offline;
  private Duration stall = Duration.ofSeconds(30);

  @AfterEach
  void close() {
    hub.close();
  }

  private Hub hub() {
    return hub(hub.endpoint(), ProxySelector.of(null));
  }

  private Hub hub(URI endpoint, ProxySelector proxies) {
    Hub.Watch watch =
        new Hub.Watch() {
          @Override
          public void says(String sentence) {
            said.add(sentence);
          }

          @Override
          public void has(long bytes, long all) {
            seen.add(bytes);
          }
        };
    return new Hub(
        new HubSettings(endpoint, cache, token, proxies, offline),
        watch,
        new HubClient.Waiting(stall, pauses::add));
  }

  private String refused(ModelName name) {
    String message = assertThrows(CheckpointException.class, () -> hub().pull(name)).getMessage();
    assertEquals(1, message.lines().count(), message);
    return message;
  }

  private void assertWhole() throws IOException {
    assertArrayEquals(CONTENT, Files.readAllBytes(hub().open(NAME)));
    assertEquals(List.of(HubStandIn.sha256(CONTENT)), names(cache.resolve(REPOSITORY, "blobs")));
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void aFileIsFetchedOnceAndSaysSo() throws IOException {
    Path model = hub().open(NAME);
    assertArrayEquals(CONTENT, Files.readAllBytes(model));
    assertEquals(List.of("fetching hf:acme/tiny:Q8_0 from " + hub.endpoint().getAuthority()), said);
    assertEquals(CONTENT.length, seen.getLast());
    int requests = hub.asked.size();
    assertEquals(model, hub().open(NAME));
    offline = true;
    assertEquals(model, hub().open(NAME));
    assertEquals(requests, hub.asked.size());
    assertEquals(1, said.size());
  }

  @Test
  void onlyPullAsksWhetherABranchHasMoved() throws IOException {
    Path first = hub().pull(NAME);
    hub.commit = "f".repeat(40);
    assertEquals(first, hub().open(NAME));
    Path second = hub().pull(NAME);
    assertEquals("f".repeat(40), second.getParent().getFileName().toString());
    assertEquals(second, hub().open(NAME));
    assertEquals(first, hub().open(ModelName.parse("hf:acme/tiny@" + HubStandIn.COMMIT)));
    assertEquals(1, hub.asked("/large/" + FILE).size());
  }

  @Test
  void theTokenStaysWithItsHost() {
    token = "hf_secret";
    hub().pull(NAME);
    assertFalse(hub.asked.isEmpty());
    for (HubStandIn.Asked request : hub.asked) {
      boolean own = request.host().equals(hub.endpoint().getAuthority());
      assertEquals(own ? "Bearer hf_secret" : null, request.token(), request.toString());
      assertEquals(own, !request.path().startsWith("/large/"));
    }
  }

  @Test
  void redirectionsToOtherKindsOfUrlsAndForEverAreRefused() {
    hub.fail(FILE, Fault.status(302, Map.of("Location", "file:///etc/passwd")));
    assertTrue(refused(NAME).endsWith(" leads to a URL of file, which is not fetched"));
    String loop = "/acme/tiny/resolve/" + HubStandIn.COMMIT + "/" + FILE;
    Fault again = Fault.status(307, Map.of("Location", loop));
    hub.fail(FILE, Collections.nCopies(11, again).toArray(Fault[]::new));
    assertTrue(refused(NAME).endsWith(" leads from one URL to another for ever"));
  }

  @Test
  void aCutConnectionGoesOnWhereItEnded() throws IOException {
    hub.fail(
        "/large/" + FILE, Fault.cut(1_000_000), Fault.cut(500_000), Fault.status(503, Map.of()));
    hub().pull(NAME);
    assertWhole();
    List<String> ranges =
        hub.asked("/large/" + FILE).stream().map(HubStandIn.Asked::range).toList();
    assertNull(ranges.getFirst());
    assertEquals(4, ranges.size());
    assertTrue(ranges.get(1).matches("bytes=[1-9]\\d+-"), ranges::toString);
    assertEquals(ranges.get(2), ranges.get(3));
    assertFalse(pauses.isEmpty());
  }

  @Test
  void aServerWithoutRangesBeginsAgain() throws IOException {
    hub.knowsRanges = false;
    hub.fail("/large/" + FILE, Fault.cut(1_000_000));
    hub().pull(NAME);
    assertWhole();
  }

  @Test
  void aSilentServerIsAskedAgain() throws IOException {
    stall = Duration.ofMillis(300);
    hub.fail("/large/" + FILE, Fault.silence(1_000_000));
    hub().pull(NAME);
    assertWhole();
    assertTrue(hub.asked("/large/" + FILE).get(1).range().matches("bytes=[1-9]\\d+-"));
  }

  @Test
  void itGivesUpAfterFiveTriesThatBringNothing() throws IOException {
    hub.fail("/large/" + FILE, Collections.nCopies(5, Fault.cut(0)).toArray(Fault[]::new));
    assertTrue(refused(NAME).endsWith(" fails: the connection was cut"));
    assertEquals(Stream.of(1, 2, 4, 8).map(Duration::ofSeconds).toList(), pauses);
    hub.fail("/large/" + FILE, Fault.cut(0)); // of a later process, which goes on
    hub().pull(NAME);
    assertWhole();
  }

  @Test
  void whatAKilledProcessFetchedIsNotFetchedAgain() throws IOException {
    Path blobs = Files.createDirectories(cache.resolve(REPOSITORY, "blobs"));
    Path part = blobs.resolve(HubStandIn.sha256(CONTENT) + ".panamoe.incomplete");
    Files.write(part, Arrays.copyOf(CONTENT, 2_000_000));
    hub().pull(NAME);
    assertWhole();
    assertEquals("bytes=2000000-", hub.asked("/large/" + FILE).getFirst().range());
  }

  @Test
  void tooManyRequestsAreWaitedFor() throws IOException {
    hub.fail("/revision/main", Fault.status(429, Map.of("Retry-After", "17")));
    hub().pull(NAME);
    assertWhole();
    hub.fail("/revision/main", Fault.status(429, Map.of("RateLimit", "\"api\";r=0;t=55")));
    hub().pull(NAME);
    assertEquals(Stream.of(17, 55).map(Duration::ofSeconds).toList(), pauses);
    assertEquals(
        hub.endpoint().getAuthority()
            + ": too many requests; a token in HF_TOKEN allows more; trying again in 55 s",
        said.getLast());
    hub.fail("/revision/main", Fault.status(429, Map.of("Retry-After", "86400")));
    assertTrue(refused(NAME).contains("too many requests; a token in HF_TOKEN allows more"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "401 | | no  | HOST has no public model acme/tiny: correct the name, or set HF_TOKEN to a token that may read it",
        "401 | | yes | HOST does not take the token for acme/tiny: set HF_TOKEN to a valid one that may read it",
        "403 | | no  | NAME is gated: accept its terms at http://HOST/acme/tiny, and set HF_TOKEN to a token of that"
            + " account",
        "401 | GatedRepo | yes | NAME is gated, and not given to this token: accept its terms at"
            + " http://HOST/acme/tiny with its account",
        "404 | RepoNotFound | no | HOST has no model acme/tiny",
        "404 | RevisionNotFound | no | HOST has no revision main of acme/tiny",
        "418 | | no | HOST answers a request for NAME with the status 418",
      })
  void refusalsSayWhatToDo(int status, String code, String withToken, String expected) {
    token = withToken.equals("yes") ? "hf_secret" : null;
    Map<String, String> headers = code == null ? Map.of() : Map.of("X-Error-Code", code);
    hub.fail("/revision/main", Fault.status(status, headers));
    String host = hub.endpoint().getAuthority();
    assertEquals(expected.replace("HOST", host).replace("NAME", NAME.toString()), refused(NAME));
    assertFalse(Files.exists(cache.resolve(REPOSITORY)));
  }

  @Test
  void aHubThatCannotBeReachedIsSaidAtOnce() {
    hub.close();
    assertTrue(
        refused(NAME).contains("without the network only models in the cache can be opened"));
    assertEquals(List.of(), pauses);
  }

  @Test
  void offlineNothingIsAsked() {
    offline = true;
    assertEquals(
        NAME
            + " is not whole in "
            + cache
            + ", and the network is not to be used (--offline, HF_HUB_OFFLINE)",
        refused(NAME));
    assertEquals(List.of(), hub.asked);
    assertEquals(List.of(), said);
  }

  @Test
  void liesAboutContentsAreFound() throws IOException {
    byte[] other = CONTENT.clone();
    other[12_345] ^= 1;
    hub.fail("/large/" + FILE, Fault.body(other));
    assertEquals(
        FILE
            + " came with the digest "
            + HubStandIn.sha256(other)
            + ", and the hub lists 3000000 bytes with the digest "
            + HubStandIn.sha256(CONTENT)
            + "; it is removed",
        refused(NAME));
    hub.fail("/large/" + FILE, Fault.body(new byte[CONTENT.length + 1]));
    assertTrue(refused(NAME).contains(FILE + " came with 3000001 bytes"));
    hub.fail("/large/" + FILE, Fault.body(new byte[7]));
    assertTrue(refused(NAME).contains(FILE + " came with 7 bytes"));
    assertEquals(List.of(), names(cache.resolve(REPOSITORY, "blobs")));
    assertFalse(Files.exists(cache.resolve(REPOSITORY, "snapshots")));
    hub().pull(NAME);
    assertWhole();
  }

  @Test
  void aSmallFileHasGitsDigest() throws IOException {
    hub.with("config.json", "{}").with("model.safetensors", CONTENT);
    hub.fail("config.json", Fault.body("[]".getBytes()));
    String message = refused(ModelName.parse("hf:acme/tiny"));
    assertTrue(
        message.startsWith("config.json came with the digest " + HubStandIn.blob("[]".getBytes())),
        message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../x-Q8_0.gguf",
        "a/../../x-Q8_0.gguf",
        "/x-Q8_0.gguf",
        "a//x.gguf",
        "a\\x",
        "..",
        "a/."
      })
  void namesThatLeaveTheRepositoryAreRefused(String path) throws IOException {
    hub.listed(FILE).put("rfilename", path);
    assertTrue(refused(NAME).startsWith("the hub lists a file '" + path + "' "));
    assertEquals(List.of(), names(cache));
  }

  @Test
  void digestsAndCommitsThatAreNoneAreRefused() {
    hub.listed(FILE).withObject("/lfs").put("sha256", "../../../etc/passwd");
    assertTrue(refused(NAME).contains("which cannot be"));
    hub.commit = "../../x";
    assertTrue(refused(NAME).contains("does not answer as a hub does"));
    hub.fail("/revision/main", Fault.body("<html>".getBytes()));
    assertTrue(refused(NAME).contains("does not answer in JSON"));
  }

  @Test
  void linksOutOfTheCacheAreNotFollowed() throws IOException {
    Path outside = Files.createDirectory(cache.resolve("outside"));
    Path snapshot = cache.resolve(REPOSITORY, "snapshots", HubStandIn.COMMIT);
    Files.createDirectories(snapshot);
    Files.createSymbolicLink(snapshot.resolve(FILE), outside.resolve("x"));
    String link =
        "the link to ../../blobs/" + HubStandIn.sha256(CONTENT) + " that a download makes";
    assertTrue(refused(NAME).contains(link));
    Files.delete(snapshot.resolve(FILE));
    Files.delete(snapshot);
    Files.createSymbolicLink(snapshot, outside);
    assertTrue(refused(NAME).contains(snapshot + " is a symbolic link"));
    assertEquals(List.of(), names(outside));
  }

  @Test
  void aPlainFileInABlobsPlaceWithAnotherSizeIsSaid() throws IOException {
    Path blobs = Files.createDirectories(cache.resolve(REPOSITORY, "blobs"));
    Files.writeString(blobs.resolve(HubStandIn.sha256(CONTENT)), "short");
    assertTrue(
        refused(NAME).endsWith("has 5 bytes, and on the hub " + FILE + " has 3000000: remove it"));
  }

  @Test
  void aDiskThatIsTooSmallIsSaidBefore() {
    hub.listed(FILE).put("size", 1L << 60);
    String message = refused(NAME);
    assertTrue(message.contains("1,073,741,824.0 GiB are to be fetched into "), message);
    assertEquals(List.of(), hub.asked("/large/" + FILE));
  }

  @Test
  void anImageModelIsRefusedBeforeItsWeights() {
    hub.with("config.json", "{\"model_type\": \"vit\"}").with("model.safetensors", CONTENT);
    assertTrue(
        refused(ModelName.parse("hf:acme/tiny")).contains("model_type is vit, expected one of"));
    assertEquals(1, hub.asked("/config.json").size());
    hub.more().putObject("gguf").put("architecture", "flux");
    assertTrue(
        refused(NAME)
            .matches("\\Q" + NAME + "\\E: general.architecture is .?flux.?, expected one of .*"));
    assertEquals(2, hub.asked.stream().filter(each -> each.path().contains("/revision/")).count());
    assertEquals(3, hub.asked.size());
  }

  /** Whether it has a head is known by its weights alone. */
  @Test
  void aModelOfEmbeddingsComesWithItsPooling() {
    hub.with("modules.json", "[]")
        .with("1_Pooling/config.json", "{}")
        .with("model.safetensors", CONTENT)
        .with(
            "config.json",
            """
            {"model_type": "qwen3", "architectures": ["Qwen3Model"], "hidden_size": 8,
             "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1,
             "head_dim": 8, "intermediate_size": 8, "vocab_size": 300, "hidden_act": "silu",
             "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
             "tie_word_embeddings": false}
            """);
    Path model = hub().pull(ModelName.parse("hf:acme/tiny"));
    assertTrue(Files.isRegularFile(model.resolve("1_Pooling/config.json")));
    assertTrue(Files.isRegularFile(model.resolve("model.safetensors")));
  }

  @Test
  void anInterruptedPullKeepsWhatItHas() throws Exception {
    hub.fail("/large/" + FILE, Fault.silence(1_000_000));
    List<Throwable> ends = new ArrayList<>();
    Thread puller =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    hub().pull(NAME);
                  } catch (RuntimeException e) {
                    ends.add(e);
                  }
                });
    while (seen.isEmpty()) {
      Thread.sleep(5);
    }
    puller.interrupt();
    puller.join();
    assertEquals(CancellationException.class, ends.getFirst().getClass());
    hub().pull(NAME);
    assertWhole();
    assertTrue(hub.asked("/large/" + FILE).get(1).range().matches("bytes=[1-9]\\d+-"));
  }

  @Test
  void theProxyOfTheEnvironmentIsAsked() throws IOException {
    int port = hub.endpoint().getPort();
    ProxySelector proxies =
        ProxyVariables.orOfJvm(Map.of("http_proxy", "127.0.0.1:" + port, "no_proxy", "localhost"));
    hub(URI.create("http://hub.example"), proxies).pull(NAME);
    assertWhole();
    assertEquals("hub.example", hub.asked.getFirst().host());
  }
}
