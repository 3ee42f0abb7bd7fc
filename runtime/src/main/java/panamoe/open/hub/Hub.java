package panamoe.open.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.data.ReleasedTokenizer;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.model.family.ReleasedModel;

/**
 * Models by name: from the cache if all their files are there, otherwise from the hub. Several
 * threads and processes may ask for one model at the same time.
 */
public final class Hub {
  /** What is shown of a download. Called by the thread that asked. */
  public interface Watch {
    /** Before the network is used; a sentence that says so. */
    void says(String sentence);

    /** The bytes of the weights that are there and those of all. */
    void has(long bytes, long all);
  }

  /** A watch of a library: a line in the log. */
  private static final Watch LOG =
      new Watch() {
        @Override
        public void says(String sentence) {
          System.getLogger(Hub.class.getName()).log(System.Logger.Level.INFO, sentence);
        }

        @Override
        public void has(long bytes, long all) {
          // a log has no bar
        }
      };

  private final HubSettings settings;
  private final Watch watch;
  private final HubClient.Waiting waiting;

  public Hub(HubSettings settings, Watch watch) {
    this(settings, watch, HubClient.Waiting.USUAL);
  }

  Hub(HubSettings settings, Watch watch, HubClient.Waiting waiting) {
    this.settings = settings;
    this.watch = watch;
    this.waiting = waiting;
  }

  /**
   * The path of a model: that of its files if a name was given, by the settings of the environment.
   *
   * @throws IllegalArgumentException if it begins like a name but is not a name
   * @throws CheckpointException like {@link #open}
   */
  public static Path local(Path given) {
    return ModelName.in(given.toString())
        .map(name -> new Hub(HubSettings.of(System.getenv()), LOG).open(name))
        .orElse(given);
  }

  /**
   * The folder or first GGUF file of a model. A model that is whole in the cache is opened without
   * the network; a branch is then the commit that was fetched last.
   *
   * @throws CheckpointException if there is no such model, it cannot be fetched, it is of an
   *     unknown family, or a file is not what the hub lists
   * @throws CancellationException if the thread is interrupted, which it stays
   */
  public Path open(ModelName name) {
    return cached(name).orElseGet(() -> pull(name));
  }

  /**
   * Like {@link #open}, but of a model that is not in the cache the configuration alone is fetched.
   *
   * @throws CheckpointException also for GGUF files, which hold the configuration and the weights
   */
  public Path described(ModelName name) {
    return cached(name).orElseGet(() -> fetched(name, false));
  }

  /** Asks the hub for the commit of the model's revision, and fetches what is missing of it. */
  public Path pull(ModelName name) {
    return fetched(name, true);
  }

  private Path fetched(ModelName name, boolean weights) {
    CachedRepository repository = CachedRepository.of(settings.cache(), name);
    if (settings.offline()) {
      throw new CheckpointException(
          "%s is not whole in %s%s, and the network is not to be used (--offline, HF_HUB_OFFLINE)",
          name, settings.cache(), new HubCache(settings.cache()).having(name));
    }
    watch.says(Words.of("fetching %s from %s", name, settings.host()));
    try (HubClient client = new HubClient(settings, name, waiting, watch::says)) {
      Listing listing = client.listing();
      FileChoice choice = FileChoice.of(name, listing.files().keySet());
      String commit = listing.commit();
      if (choice.folder()) {
        fetch(client, repository, listing, List.of(HuggingFaceFolder.CONFIG), false);
        HuggingFaceFolder folder = folder(repository.snapshot(commit));
        ReleasedModel.of(folder); // refuses an unknown family before its weights
        if (!weights) {
          return folder.path();
        }
        fetch(client, repository, listing, choice.files(), false);
        fetch(client, repository, listing, folder.files(), true);
      } else {
        listing
            .architecture()
            .ifPresent(known -> ReleasedModel.requireArchitecture(known, name.toString()));
        if (!weights) {
          throw new CheckpointException(
              "%s is a GGUF file, whose configuration comes with its weights: fetch it by panamoe"
                  + " pull first, or name a repository of safetensors",
              name);
        }
        fetch(client, repository, listing, choice.files(), true);
      }
      repository.save(listing);
      repository.save(name.revision(), commit);
      return place(repository.snapshot(commit), choice);
    } catch (IOException e) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException();
      }
      throw CheckpointException.unwritten(repository.folder().path(), e);
    }
  }

  private void fetch(
      HubClient client,
      CachedRepository repository,
      Listing listing,
      Collection<String> paths,
      boolean shown)
      throws IOException {
    List<HubFile> files = paths.stream().map(listing::file).toList();
    long all = files.stream().mapToLong(HubFile::size).sum();
    long missing = all;
    for (HubFile file : files) {
      missing -= Download.there(repository, file);
    }
    requireRoom(repository.folder().path(), missing);
    long before = 0;
    for (HubFile file : files) {
      long start = before;
      LongConsumer done = bytes -> watch.has(start + bytes, all);
      new Download(client, repository, listing.commit(), file, shown ? done : _ -> {}).run();
      before += file.size();
    }
  }

  private static void requireRoom(Path folder, long bytes) throws IOException {
    long free = Files.getFileStore(folder).getUsableSpace();
    if (bytes > free) {
      throw new CheckpointException(
          "%s are to be fetched into %s, whose disk has %s free: free some, or name another in HF_HUB_CACHE",
          Count.bytes(bytes), folder, Count.bytes(free));
    }
  }

  /**
   * The model in the cache, if it is whole.
   *
   * @throws CheckpointException without the network, if the name is not that of one model
   */
  private Optional<Path> cached(ModelName name) {
    CachedRepository repository = CachedRepository.of(settings.cache(), name);
    Optional<String> commit = repository.commit(name.revision());
    try {
      return commit.flatMap(known -> whole(repository, known, name));
    } catch (CheckpointException e) {
      if (settings.offline()) {
        throw e;
      }
      return Optional.empty(); // the hub may have more
    }
  }

  private static Optional<Path> whole(CachedRepository repository, String commit, ModelName name) {
    Path snapshot = repository.snapshot(commit);
    Optional<Listing> listing = repository.listing(commit);
    Collection<String> known =
        listing
            .<Collection<String>>map(list -> list.files().keySet())
            .orElseGet(() -> repository.files(commit));
    if (known.isEmpty()) {
      return Optional.empty();
    }
    FileChoice choice = FileChoice.of(name, known);
    boolean whole = choice.files().stream().allMatch(file -> repository.has(commit, file));
    if (whole && choice.folder()) {
      whole =
          folder(snapshot).hasWeights()
              && (listing.isPresent() || ReleasedTokenizer.file(snapshot).isPresent());
    }
    return whole ? Optional.of(place(snapshot, choice)) : Optional.empty();
  }

  private static Path place(Path snapshot, FileChoice choice) {
    return choice.folder() ? snapshot : snapshot.resolve(choice.files().getFirst());
  }

  private static HuggingFaceFolder folder(Path snapshot) {
    return HuggingFaceFolder.of(snapshot)
        .orElseThrow(
            () ->
                new CheckpointException(
                    "%s has no model_type: it is of no language model",
                    snapshot.resolve(HuggingFaceFolder.CONFIG)));
  }
}
