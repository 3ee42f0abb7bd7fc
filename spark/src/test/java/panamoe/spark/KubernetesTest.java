package panamoe.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.DatabindException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PodTemplateSpec;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.StatefulSet;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The files of examples/deploy for Kubernetes, read by its published types, strictly. */
class KubernetesTest {
  private static final Map<String, Class<? extends HasMetadata>> KINDS =
      Map.of(
          "apps/v1 Deployment", Deployment.class,
          "apps/v1 StatefulSet", StatefulSet.class,
          "batch/v1 Job", Job.class,
          "v1 Service", Service.class);

  /** The types keep fields that they do not know; here these are refused. */
  private static final YAMLMapper STRICT =
      YAMLMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .annotationIntrospector(
              new JacksonAnnotationIntrospector() {
                private static final long serialVersionUID = 1;

                @Override
                public Boolean hasAnySetter(Annotated method) {
                  return false;
                }
              })
          .build();

  private static List<HasMetadata> read(String name) throws IOException {
    return parsed(Files.readString(Path.of("../examples/deploy", name)));
  }

  private static List<HasMetadata> parsed(String text) throws IOException {
    List<HasMetadata> all = new ArrayList<>();
    for (JsonNode each : STRICT.readerFor(JsonNode.class).<JsonNode>readValues(text).readAll()) {
      String kind = each.path("apiVersion").asText() + " " + each.path("kind").asText();
      all.add(STRICT.treeToValue(each, KINDS.get(kind)));
    }
    return all;
  }

  @ParameterizedTest
  @ValueSource(strings = {"kubernetes.yaml", "kubernetes-train.yaml", "kubernetes-ranks.yaml"})
  void anUnknownFieldIsRefused(String name) throws IOException {
    String text = Files.readString(Path.of("../examples/deploy", name));
    assertEquals(
        List.of(), parsed(text).stream().filter(each -> each.getMetadata() == null).toList());
    String wrong = text.replaceFirst("\n( +)containers:", "\n$1container:");
    assertThrows(DatabindException.class, () -> parsed(wrong));
    String wrongType = text.replaceFirst("runAsUser: 10001", "runAsUser: nobody");
    assertThrows(DatabindException.class, () -> parsed(wrongType));
  }

  @Test
  void theRanksOfAJob() throws IOException {
    List<HasMetadata> all = read("kubernetes-train.yaml");
    Service names = (Service) all.get(0);
    Job job = (Job) all.get(1);
    assertEquals("Indexed", job.getSpec().getCompletionMode());
    assertEquals(job.getSpec().getCompletions(), job.getSpec().getParallelism());
    PodTemplateSpec pods = job.getSpec().getTemplate();
    assertEquals(names.getMetadata().getName(), pods.getSpec().getSubdomain());
    requireRanks(names, job.getMetadata().getName(), pods, job.getSpec().getCompletions());
  }

  @Test
  void theRanksOfAStatefulSet() throws IOException {
    List<HasMetadata> all = read("kubernetes-ranks.yaml");
    Service names = (Service) all.get(0);
    StatefulSet set = (StatefulSet) all.get(2);
    assertEquals(names.getMetadata().getName(), set.getSpec().getServiceName());
    assertEquals("Parallel", set.getSpec().getPodManagementPolicy());
    PodTemplateSpec pods = set.getSpec().getTemplate();
    assertEquals(pods.getMetadata().getLabels(), set.getSpec().getSelector().getMatchLabels());
    requireRanks(names, set.getMetadata().getName(), pods, set.getSpec().getReplicas());
  }

  /** Every pod gets its rank; rank 0 is the first pod, by the name that the service gives it. */
  private static void requireRanks(Service names, String owner, PodTemplateSpec pods, int ranks) {
    assertEquals("None", names.getSpec().getClusterIP());
    assertEquals(true, names.getSpec().getPublishNotReadyAddresses());
    assertEquals(pods.getMetadata().getLabels(), names.getSpec().getSelector());
    Container container = pods.getSpec().getContainers().getFirst();
    assertEquals(Integer.toString(ranks), value(container, "PANAMOE_RANKS").getValue());
    assertEquals(
        owner + "-0." + names.getMetadata().getName() + ":7777",
        value(container, "PANAMOE_RENDEZVOUS").getValue());
    String rank = value(container, "PANAMOE_RANK").getValueFrom().getFieldRef().getFieldPath();
    assertEquals(true, rank.matches("metadata\\.(annotations|labels)\\['[a-z.]+/[a-z-]*index'\\]"));
    assertEquals(
        "panamoe-ranks",
        value(container, "PANAMOE_SECRET").getValueFrom().getSecretKeyRef().getName());
  }

  private static EnvVar value(Container container, String name) {
    return container.getEnv().stream()
        .filter(each -> each.getName().equals(name))
        .findFirst()
        .orElseThrow();
  }
}
