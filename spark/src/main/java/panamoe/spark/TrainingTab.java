package panamoe.spark;

import jakarta.servlet.http.HttpServletRequest;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.spark.ui.SparkUI;
import org.apache.spark.ui.SparkUITab;
import org.apache.spark.ui.UIUtils;
import org.apache.spark.ui.WebUIPage;
import org.apache.spark.ui.WebUITab;
import scala.Option;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.xml.Node;
import scala.xml.Text;

/** The tab "Panamoe" of Spark's page: the last step of each training of the application. */
final class TrainingTab extends SparkUITab {
  private final Map<String, Supplier<String>> trainings = new LinkedHashMap<>(); // guarded by this

  private TrainingTab(SparkUI ui) {
    super(ui, "panamoe");
    attachPage(new Page());
    ui.attachTab(this);
  }

  static synchronized TrainingTab of(SparkUI ui) {
    for (WebUITab tab : CollectionConverters.asJava(ui.getTabs())) {
      if (tab instanceof TrainingTab ours) {
        return ours;
      }
    }
    return new TrainingTab(ui);
  }

  synchronized void show(String folder, Supplier<String> progress) {
    trainings.put(folder, progress);
  }

  private synchronized Seq<Node> lines() {
    return CollectionConverters.asScala(
            trainings.entrySet().stream()
                .<Node>map(each -> new Text(each.getKey() + ": " + each.getValue().get() + "\n"))
                .toList())
        .toList();
  }

  private final class Page extends WebUIPage {
    Page() {
      super("");
    }

    @Override
    public Seq<Node> render(HttpServletRequest request) {
      return UIUtils.headerSparkPage(
          request,
          "Training",
          TrainingTab.this::lines,
          TrainingTab.this,
          Option.empty(),
          false,
          false,
          false);
    }
  }
}
