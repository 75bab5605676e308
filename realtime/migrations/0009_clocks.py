"""Sets back the scrape order of files whose scraper's clock was ahead, as imports do now.

Otherwise what they were applied to would stay as it is until that time has come. Reads the ledger
once, writes such rows alone, and locks nothing else.
"""

from django.db import migrations

# In ticks, see ScrapeOrder. A minute, so that no other row is touched for a difference of clocks.
SET_BACK = """
    UPDATE realtime_file AS file
    SET order_ticks = least(file.order_ticks, stored.ticks),
        order_stamp = least(file.order_stamp, stored.ticks)
    FROM (
      SELECT id, (extract(epoch FROM least(last_modified, received_at))::numeric * 10000000)::bigint
                 + 122192928000000000 AS ticks
      FROM realtime_file
    ) AS stored
    WHERE stored.id = file.id
      AND greatest(file.order_ticks, file.order_stamp) > stored.ticks + 60 * 10000000
"""


class Migration(migrations.Migration):
    dependencies = [("realtime", "0008_bounds")]
    operations = [migrations.RunSQL(SET_BACK, migrations.RunSQL.noop)]
