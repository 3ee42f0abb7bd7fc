package panamoe.open.hub;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.io.Words;

/**
 * The files of a model among those of its repository.
 *
 * @param folder whether it is a folder with safetensors, which its index names
 * @param files of a folder all but its weights; of a model in GGUF all, the first to open first
 */
record FileChoice(boolean folder, List<String> files) {
  /** The quantisation of a name without one, if the repository has several. */
  private static final String USUAL = "Q4_K_M";

  private static final Pattern GGUF =
      Pattern.compile("(?<stem>.+?)(?:-(?<number>\\d{5})-of-(?<count>\\d{5}))?\\.gguf");

  /** Files in GGUF that are no language model. */
  private static final Pattern BESIDE =
      Pattern.compile("(?i)(.*[-_./])?(mmproj|imatrix)([-_.].*)?");

  private static final Pattern QUANTISATION =
      Pattern.compile(
          "(?i)(?<![a-z0-9])(?:UD-)?(?:I?Q\\d|TQ\\d|MXFP\\d|NVFP\\d|BF16|F16|F32)"
              + "(?:_(?:[KSML]|XX?[SL]|NL|MOE|\\d))*(?![a-z0-9])");

  /** Files beside the configuration, and those of sentence-transformers' modules. */
  private static final Pattern SETTINGS =
      Pattern.compile("[^/]+\\.(json|jinja|model)|\\d+_[^/]+/config\\.json");

  /**
   * Chooses the files of a model: those in GGUF of the named quantisation or path, or without one a
   * folder of safetensors, or else the only ones in GGUF, or the usual.
   *
   * @param files all paths of the repository
   * @throws CheckpointException if there is no such model, or there are several; the message says
   *     what there is
   */
  static FileChoice of(ModelName name, Collection<String> files) {
    Map<String, List<String>> stems = stems(files);
    boolean folder =
        files.contains(HuggingFaceFolder.CONFIG)
            && (files.contains(HuggingFaceFolder.WHOLE) || files.contains(HuggingFaceFolder.INDEX));
    if (name.variant() == null && folder) {
      return new FileChoice(true, settings(files));
    }
    if (stems.isEmpty()) {
      throw new CheckpointException(
          folder
              ? Words.of(
                  "%s holds safetensors and no GGUF file: leave :%s out", name, name.variant())
              : Words.of("%s holds no language model: %s", name, what(files)));
    }
    List<String> stem = matching(name, stems);
    if (stem.size() != 1) {
      throw several(name, stems, stem);
    }
    return new FileChoice(false, whole(name, stems.get(stem.getFirst())));
  }

  /** The variants of a repository: quantisations, or paths of those that share one. */
  static Map<String, List<String>> variants(Collection<String> files) {
    Map<String, List<String>> stems = stems(files);
    List<String> labels = stems.keySet().stream().map(FileChoice::label).toList();
    Map<String, List<String>> variants = new TreeMap<>();
    stems.forEach(
        (stem, parts) -> {
          String label = label(stem);
          boolean alone = labels.stream().filter(label::equals).count() == 1;
          variants.put(alone ? label : parts.getFirst(), parts);
        });
    return variants;
  }

  private static Map<String, List<String>> stems(Collection<String> files) {
    Map<String, List<String>> stems = new TreeMap<>();
    for (String file : files.stream().sorted().toList()) {
      Matcher matcher = GGUF.matcher(file);
      if (matcher.matches() && !BESIDE.matcher(file).matches()) {
        stems.computeIfAbsent(matcher.group("stem"), _ -> new ArrayList<>()).add(file);
      }
    }
    return stems;
  }

  /** The quantisation in a file's name, else in its folder's, else the name itself. */
  private static String label(String stem) {
    String file = stem.substring(stem.lastIndexOf('/') + 1);
    return last(file, last(stem, file));
  }

  private static String last(String text, String otherwise) {
    return QUANTISATION
        .matcher(text)
        .results()
        .map(MatchResult::group)
        .reduce(otherwise, (_, next) -> next);
  }

  private static List<String> matching(ModelName name, Map<String, List<String>> stems) {
    List<String> all = List.copyOf(stems.keySet());
    String wanted = name.variant();
    if (wanted == null) {
      return all.size() == 1 ? all : of(USUAL, all);
    }
    if (wanted.endsWith(".gguf")) {
      return all.stream().filter(stem -> stems.get(stem).contains(wanted)).toList();
    }
    List<String> exact = of(wanted, all);
    return exact.isEmpty() ? of("UD-" + wanted, all) : exact;
  }

  private static List<String> of(String quantisation, List<String> stems) {
    return stems.stream().filter(stem -> label(stem).equalsIgnoreCase(quantisation)).toList();
  }

  private static CheckpointException several(
      ModelName name, Map<String, List<String>> stems, List<String> matching) {
    List<String> all =
        matching.isEmpty()
            ? List.copyOf(variants(stems.values().stream().flatMap(List::stream).toList()).keySet())
            : matching.stream().map(stem -> stems.get(stem).getFirst()).toList();
    return new CheckpointException(
        "%s is %s: there %s %s; name one, such as %s",
        name,
        matching.isEmpty() && name.variant() != null ? "not in the repository" : "several models",
        all.size() == 1 ? "is" : "are",
        String.join(", ", all),
        name.with(all.getFirst()));
  }

  /** The files of a model in order, all of them. */
  private static List<String> whole(ModelName name, List<String> parts) {
    Matcher first = GGUF.matcher(parts.getFirst());
    int count =
        first.matches() && first.group("count") != null
            ? Integer.parseInt(first.group("count"))
            : 1;
    if (parts.size() != count) {
      throw new CheckpointException(
          "%s has %s files %s in the repository, and by their names there are %s",
          name, parts.size(), String.join(", ", parts), count);
    }
    return parts;
  }

  private static List<String> settings(Collection<String> files) {
    String index = files.contains(HuggingFaceFolder.WHOLE) ? "" : HuggingFaceFolder.INDEX;
    return files.stream()
        .filter(file -> SETTINGS.matcher(file).matches())
        .filter(file -> !file.endsWith(".index.json") || file.equals(index))
        .toList();
  }

  private static String what(Collection<String> files) {
    if (files.contains("model_index.json")) {
      return "it is a model of diffusers, which makes images or sounds";
    }
    return files.stream().anyMatch(file -> file.matches("[^/]+\\.(bin|pt|pth)"))
        ? "its weights are Python's pickles, which are programs"
        : "neither safetensors with a config.json nor GGUF files";
  }
}
